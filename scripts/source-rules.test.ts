import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { errorClasses, errorDocs } from './error-docs.ts'
import { readSource, sourcePaths } from './source-files.ts'
import {
  checkErrorClasses,
  checkSyntax,
  checkText,
  type Exception,
  errorClassesOf,
  type Finding,
  withoutExceptions,
} from './source-rules.ts'

const root = join(import.meta.dirname, '..')

/** Where a rule does not apply, and why. An entry that excuses nothing any more is itself a finding. */
const exceptions: readonly Exception[] = []

const show = ({ rule, path, line, what }: Finding): string => `${path}:${line} ${rule}: ${what}`

describe('the sources of this repository', () => {
  const paths = sourcePaths(root)
  const sources = paths.filter((path) => path.endsWith('.ts') && !path.startsWith('scripts/fixtures/'))

  it('keep every rule', () => {
    const findings = [
      ...paths.flatMap((path) => checkText(path, readSource(root, path))),
      ...sources.flatMap((path) => checkSyntax(path, readSource(root, path))),
    ]
    expect(withoutExceptions(findings, exceptions).map(show)).toEqual([])
    expect(sources.length).toBeGreaterThan(20)
  })

  it('give each error class one code of its own and a meaning', () => {
    const classes = errorClasses(root)
    expect(checkErrorClasses(classes).map(show)).toEqual([])
    expect(classes.length).toBeGreaterThan(3)
  })

  it('are described by docs/errors.md as it stands (else: npm run docs:errors)', () => {
    expect(readSource(root, 'docs/errors.md')).toBe(errorDocs(errorClasses(root)))
  })
})

/** Each rule with text that breaks it, in a file of this path, and text beside it that does not. */
const seeded: readonly { rule: string; path: string; bad: readonly string[]; good: readonly string[] }[] = [
  {
    rule: 'ambient-time',
    path: 'src/engine/a.ts',
    bad: ['Date.now()', 'new Date()', 'performance.now()', 'process.hrtime.bigint()', 'globalThis.Date.now()'],
    good: ['new Date(0)', '// Date.now()', '"Date.now()"', 'clock.nowMs()', 'Date.parse(text)'],
  },
  {
    rule: 'ambient-random',
    path: 'src/engine/a.ts',
    bad: ['Math.random()', 'crypto.randomUUID()', 'randomBytes(4)'],
    good: ['random.nextFloat()', '/Math.random()/.test(text)'],
  },
  {
    rule: 'ambient-timer',
    path: 'src/runtime/a.ts',
    bad: ['setTimeout(f, 1)', 'setInterval(f, 1)', 'import { setTimeout } from "node:timers/promises"'],
    good: ['clock.setTimer(f, 1)', 'setImmediate(f)', 'window.clearTimeout(t)'],
  },
  { rule: 'console', path: 'src/app/a.ts', bad: ['console.log(1)', 'console.error(1)'], good: ['channel.publish(1)'] },
  {
    rule: 'plain-error',
    path: 'src/app/a.ts',
    bad: ['throw new Error("x")', 'new TypeError("x")'],
    good: ['new GoneError("x")'],
  },
  {
    rule: 'only',
    path: 'src/app/a.test.ts',
    bad: ['it.only("x", f)', 'describe.only("x", f)', 'it.only.each([1])("x", f)'],
    good: ['it("x", f)'],
  },
  { rule: 'todo', path: 'src/app/a.test.ts', bad: ['it.todo("x")'], good: ['it("todo", f)'] },
  {
    rule: 'skip',
    path: 'src/app/a.test.ts',
    bad: ['it.skip("x", f)', 'describe.skipIf(isSlow)("x", f)'],
    good: ['// Skipped because this file system has no permissions.\nit.skipIf(isRoot)("x", f)', 'list.skip(1)'],
  },
]

const seededTexts: readonly { rule: string; path: string; bad: readonly string[]; good: readonly string[] }[] = [
  {
    rule: 'machine-path',
    path: 'docs/a.md',
    bad: [
      `see ${['', 'work', 'main'].join('/')}`,
      `"${['', 'home', 'ann', 'x'].join('/')}"`,
      `cd ${['', 'tmp', 'x'].join('/')}`,
    ],
    good: ['see docs/work/main', 'the /topics/orders route', 'a/tmp/b'],
  },
  {
    rule: 'registry-host',
    path: 'package-lock.json',
    bad: [`https://${['registry', 'npmjs', 'org'].join('.')}/x`, '"resolved": "x"'],
    good: ['"integrity": "sha512-x"'],
  },
  { rule: 'file-name', path: 'src/app/utils.ts', bad: [''], good: [] },
  { rule: 'file-name', path: 'src/app/order-helpers.test.ts', bad: [''], good: [] },
  { rule: 'file-name', path: 'src/app/types.ts', bad: [''], good: [] },
  { rule: 'file-name', path: 'src/app/timers.ts', bad: [], good: [''] },
  {
    rule: 'file-length',
    path: 'src/app/a.ts',
    bad: ['x()\n'.repeat(401), `x()\n// Long because it is late.\n${'x()\n'.repeat(401)}`],
    good: ['x()\n'.repeat(399), `// One table.\n// Long because the table is one thing.\n${'x()\n'.repeat(401)}`],
  },
]

describe('a rule bites', () => {
  for (const { rule, path, bad, good } of seeded) {
    it(`${rule} in ${path}`, () => {
      for (const text of bad) expect([text, checkSyntax(path, text).map((found) => found.rule)]).toEqual([text, [rule]])
      for (const text of good) expect([text, checkSyntax(path, text)]).toEqual([text, []])
    })
  }

  for (const { rule, path, bad, good } of seededTexts) {
    it(`${rule} in ${path}`, () => {
      for (const text of bad) expect([text, checkText(path, text).map((found) => found.rule)]).toEqual([text, [rule]])
      for (const text of good) expect([text, checkText(path, text)]).toEqual([text, []])
    })
  }

  it('only where it applies', () => {
    const text = 'Date.now(); console.log(1); setTimeout(f, 1)'
    expect(checkSyntax('src/kernel/clock.ts', text).map(({ rule }) => rule)).toEqual(['console'])
    expect(checkSyntax('src/cli/main.ts', 'console.log(1)')).toEqual([])
    expect(checkSyntax('src/app/a.test.ts', text)).toEqual([])
    expect(checkSyntax('scripts/a.ts', text)).toEqual([])
  })

  it('and names the line, also after characters of several bytes', () => {
    expect(checkSyntax('src/app/a.ts', '// ä€😀\n\nconst x = "€"\nMath.random()\n').map(({ line }) => line)).toEqual([
      4,
    ])
  })

  it('on error classes without a code, with a taken code, without a meaning', () => {
    const head = '/** Gone. */\nexport class GoneError extends '
    const [good] = errorClassesOf('src/a/errors.ts', `${head}MillraceError<'GONE', object> {}`)
    expect(good).toEqual({ path: 'src/a/errors.ts', line: 2, name: 'GoneError', code: 'GONE', meaning: 'Gone.' })
    const wrapped = errorClassesOf('src/b/errors.ts', `${head}MillraceError<\n  'GONE',\n  { a: 1 }\n> {}`)
    const bare = errorClassesOf('src/c/errors.ts', `${head}MillraceError {}`)
    const silent = errorClassesOf('src/d/errors.ts', "class OddError extends MillraceError<'ODD'> {}")
    const findings = checkErrorClasses([good, ...wrapped, ...bare, ...silent].filter((found) => found !== undefined))
    expect(findings.map(({ path, what }) => `${path} ${what}`)).toEqual([
      'src/b/errors.ts GONE is the code of GoneError in src/a/errors.ts already',
      'src/c/errors.ts GoneError fixes no literal code',
      'src/d/errors.ts OddError has no comment that says when it is thrown',
    ])
  })

  it('on an exception that excuses nothing', () => {
    const finding: Finding = { rule: 'console', path: 'src/a.ts', line: 3, what: 'console.log' }
    const exception: Exception = { rule: 'console', path: 'src/a.ts', reason: 'It is the reporter.' }
    expect(withoutExceptions([finding], [exception])).toEqual([])
    expect(withoutExceptions([], [exception]).map(({ rule }) => rule)).toEqual(['idle-exception'])
  })
})
