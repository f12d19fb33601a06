// Checks the import graph against scripts/boundaries/. A tool that silently looks at nothing would also find nothing
// wrong, so this fails when no module was looked at, and each run first proves on a seeded bad tree that every rule
// still bites, and only where it should.

import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { cruise, type ICruiseResult } from 'dependency-cruiser'
import { ranks } from './boundaries/ranks.ts'
import { rules } from './boundaries/rules.ts'
import { teachUsingDeclarations } from './boundaries/using-declarations.ts'

const root = join(import.meta.dirname, '..')
const seeded = join(import.meta.dirname, 'fixtures', 'boundaries')

interface Finding {
  readonly rule: string
  readonly from: string
  readonly to: string
}

interface Result {
  readonly findings: readonly Finding[]
  readonly moduleCount: number
  readonly importCount: number
}

teachUsingDeclarations()

async function check(baseDir: string): Promise<Result> {
  const folders = ['src', 'examples', 'bench', 'simulation'].filter((name) => existsSync(join(baseDir, name)))
  const { output } = await cruise(folders, {
    baseDir,
    parser: 'swc',
    tsPreCompilationDeps: true,
    combinedDependencies: false,
    doNotFollow: { path: 'node_modules' },
    enhancedResolveOptions: { exportsFields: ['exports'], conditionNames: ['import', 'node', 'default'] },
    ruleSet: { forbidden: [...rules] },
    validate: true,
  })
  if (typeof output === 'string') throw new Error('dependency-cruiser answered with text where a result was asked for.')
  const own = output.modules.filter((module) => /^(src|examples|bench|simulation)\//.test(module.source))
  return {
    findings: [...violations(output), ...unranked(own.map((module) => module.source))],
    moduleCount: own.length,
    importCount: own.reduce((sum, module) => sum + module.dependencies.length, 0),
  }
}

function violations(result: ICruiseResult): Finding[] {
  return result.summary.violations.map(({ rule, from, to }) => ({ rule: rule.name, from, to }))
}

function unranked(sources: readonly string[]): Finding[] {
  return sources.flatMap((from) => {
    const folder = /^src\/([^/]+)\//.exec(from)?.[1]
    return folder === undefined || folder in ranks ? [] : [{ rule: 'unranked', from, to: `folder ${folder}` }]
  })
}

const show = ({ rule, from, to }: Finding): string => `${rule}: ${from} → ${to}`

/** The findings that the seeded tree must yield, one a line; anything missing or more is a fault of the checker. */
async function proveThatRulesBite(): Promise<string[]> {
  const wanted = new Set(readFileSync(join(seeded, 'expected.txt'), 'utf8').trim().split('\n'))
  const found = new Set((await check(seeded)).findings.map(show))
  const ruleNames = new Set([...rules.map((rule) => rule.name ?? ''), 'unranked'])
  const unproven = [...ruleNames].filter((name) => ![...wanted].some((line) => line.startsWith(`${name}: `)))
  return [
    ...[...wanted].filter((line) => !found.has(line)).map((line) => `The seeded fault was not found: ${line}`),
    ...[...found]
      .filter((line) => !wanted.has(line))
      .map((line) => `Found in the seeded tree but not a fault: ${line}`),
    ...unproven.map((name) => `The rule ${name} has no seeded fault in scripts/fixtures/boundaries.`),
  ]
}

const faults = await proveThatRulesBite()
const { findings, moduleCount, importCount } = await check(root)
if (moduleCount === 0 || importCount === 0)
  faults.push(`Nothing was checked: ${moduleCount} modules, ${importCount} imports.`)
for (const line of [...faults, ...findings.map(show)]) console.error(line)
for (const name of new Set(findings.map(({ rule }) => rule))) {
  const comment = rules.find((rule) => rule.name === name)?.comment ?? 'Every folder of src/ has a rank.'
  console.error(`  ${name}: ${comment.replace(/rank \d+/, 'a rank')}`)
}
console.log(
  `${moduleCount} modules, ${importCount} imports, ${rules.length + 1} rules: ${faults.length + findings.length} faults`,
)
process.exitCode = faults.length + findings.length === 0 ? 0 : 1
