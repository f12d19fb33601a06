// Runs every example as its `expected/` folder describes and compares what comes out, and runs the programs of the pages named
// below, each in an empty folder against the built package. Needs a finished build. The descriptions: scripts/example-cases.ts.

import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { compareCase, exampleCases, importsOf, programOf, runCommand } from './example-cases.ts'

const root = join(import.meta.dirname, '..')

async function inTemporaryFolder<Result>(use: (folder: string) => Promise<Result>): Promise<Result> {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-example-'))
  try {
    return await use(folder)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Pages with a program and what it prints. */
const pages = ['README.md', 'docs/event-sourcing.md', 'docs/view-rebuild.md']

/** Faults of a page's program: it must compile, run as it stands, and print what the page says. */
async function checkPage(page: string): Promise<string[]> {
  const program = programOf(readFileSync(join(root, page), 'utf8'))
  if (program === undefined)
    return [`${page}: no \`\`\`ts block with the program, followed by a \`\`\`text block with its output.`]
  return inTemporaryFolder(async (folder) => {
    for (const name of importsOf(program.code)) {
      const link = join(folder, 'node_modules', name)
      mkdirSync(dirname(link), { recursive: true })
      symlinkSync(name === 'millrace' ? root : join(root, 'node_modules', name), link)
    }
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
    writeFileSync(join(folder, 'program.ts'), program.code)
    const compilerOptions = {
      target: 'ES2024',
      module: 'NodeNext',
      strict: true,
      noEmit: true,
      skipLibCheck: true,
      types: ['node'],
      typeRoots: [join(root, 'node_modules', '@types')],
    }
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({ compilerOptions, include: ['program.ts'] }))
    const compiled = await runCommand([join(root, 'node_modules', '.bin', 'tsc'), '-p', folder], folder, 60)
    if (compiled.exitCode !== 0) return [`${page}: the program does not compile.\n${compiled.stdout}${compiled.stderr}`]
    const { exitCode, stdout, stderr } = await runCommand([process.execPath, 'program.ts'], folder, 60)
    if (exitCode !== 0) return [`${page}: the program ended with ${exitCode}.\n${stdout}${stderr}`]
    if (stdout.trim() === program.output.trim()) return []
    return [`${page}: the program printed\n${stdout}\nand not, as it says,\n${program.output}`]
  })
}

const cases = exampleCases(root)
const faults = [...cases.faults]
if (cases.found.length === 0) faults.push('No example was found: nothing was checked.')
for (const example of cases.found) {
  const startedMs = performance.now()
  const found = await inTemporaryFolder((data) => compareCase(example, data))
  const seconds = ((performance.now() - startedMs) / 1000).toFixed(1)
  console.log(`${found.length === 0 ? 'ok    ' : 'FAILED'} ${example.title} (${seconds} s)`)
  faults.push(...found)
}
for (const page of pages) {
  const found = await checkPage(page)
  console.log(`${found.length === 0 ? 'ok    ' : 'FAILED'} the program of ${page}`)
  faults.push(...found)
}
for (const fault of faults) console.error(`\n${fault}`)
process.exitCode = faults.length === 0 ? 0 : 1
