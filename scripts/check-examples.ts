// Runs every example as its `expected/` folder describes and compares what comes out, and the programs and
// code of the pages named below, each in an empty folder against the built package. Needs a finished build. The descriptions: scripts/example-cases.ts.

import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { codeOf, compareCase, exampleCases, importsOf, programOf, runCommand } from './example-cases.ts'

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
const pages = ['README.md', 'docs/event-sourcing.md', 'docs/view-rebuild.md', 'docs/table-views.md']

/** Pages all of whose code, put together, has to compile; and whether it is run too, to its end. */
const pagesOfCode: readonly { readonly page: string; readonly runs: boolean }[] = [
  { page: 'docs/messages.md', runs: true },
  { page: 'docs/handlers.md', runs: true },
  { page: 'docs/sagas.md', runs: true },
  // Its other code wants a PostgreSQL server: the tests of table views run what it shows.
  { page: 'docs/table-views.md', runs: false },
]

/** Links a package, and its types if they are a package of their own, into a folder. */
function linkPackage(folder: string, name: string): void {
  const types = join('@types', name)
  const targets =
    name === 'millrace' ? [[name, root]] : [name, types].map((one) => [one, join(root, 'node_modules', one)])
  for (const [own, target] of targets as [string, string][]) {
    const link = join(folder, 'node_modules', own)
    if (!existsSync(target)) continue
    mkdirSync(dirname(link), { recursive: true })
    symlinkSync(target, link)
  }
}

/** Faults of a page's program: it must compile; run as it stands, unless it shall not be run; and print what the page says, if it says. */
function checkProgram(page: string, code: string, runs: boolean, output?: string): Promise<string[]> {
  return inTemporaryFolder(async (folder) => {
    for (const name of importsOf(code)) linkPackage(folder, name)
    writeFileSync(join(folder, 'package.json'), '{ "private": true, "type": "module" }\n')
    writeFileSync(join(folder, 'program.ts'), code)
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
    if (!runs) return []
    const { exitCode, stdout, stderr } = await runCommand([process.execPath, 'program.ts'], folder, 60)
    if (exitCode !== 0) return [`${page}: the program ended with ${exitCode}.\n${stdout}${stderr}`]
    if (output === undefined || stdout.trim() === output.trim()) return []
    return [`${page}: the program printed\n${stdout}\nand not, as it says,\n${output}`]
  })
}

async function checkPage(page: string): Promise<string[]> {
  const program = programOf(readFileSync(join(root, page), 'utf8'))
  if (program === undefined)
    return [`${page}: no \`\`\`ts block with the program, followed by a \`\`\`text block with its output.`]
  return checkProgram(page, program.code, true, program.output)
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
for (const { page, runs } of pagesOfCode) {
  const found = await checkProgram(page, codeOf(readFileSync(join(root, page), 'utf8')), runs)
  console.log(`${found.length === 0 ? 'ok    ' : 'FAILED'} the code of ${page}`)
  faults.push(...found)
}
for (const fault of faults) console.error(`\n${fault}`)
process.exitCode = faults.length === 0 ? 0 : 1
