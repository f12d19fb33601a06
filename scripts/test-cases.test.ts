import { expect, it } from 'vitest'
import { testCasesIn } from './test-cases.ts'

const text = `
const faults = [{ name: 'a cut' }, { name: 'a kill' }]
describe('what runs', () => {
  it('plainly', () => undefined)
  for (const ground of ['one']) {
    const possible = faults.filter(Boolean)
    it.each(possible)(\`on \${ground} under $name\`, () => undefined)
  }
  it.skip('not now', () => undefined)
  it.todo('not yet')
})
// it('in a comment', () => undefined)
describe.skipIf(!serversWanted)('with servers', () => { it('on a server', () => undefined) })
describe.skipIf(isWindows)('elsewhere', () => { it('by a condition', () => undefined) })
describe.each([['one engine']])('%s', () => { test('on each', () => undefined) })
describe.skip('never', () => { describe('inside', () => { it('deep inside', () => undefined) }) })
`

it('finds the cases of a file, with their rows and what keeps them from running', () => {
  const found = testCasesIn(text).map(({ title, rows, skippedBy }) => [title, [...rows], skippedBy])
  expect(found).toEqual([
    ['plainly', [], null],
    ['on … under $name', ['a cut', 'a kill'], null],
    ['not now', [], 'it.skip'],
    ['not yet', [], 'it.todo'],
    ['on a server', [], null],
    ['by a condition', [], 'describe.skipIf'],
    ['on each', ['one engine'], null],
    ['deep inside', [], 'describe.skip'],
  ])
})

it('knows the rows of a table that the file imports', () => {
  const [found] = testCasesIn("import { faults } from './faults.ts'\nit.each(faults)('under $name', () => undefined)", [
    "export const faults = [{ name: 'a cut' }]",
  ])
  expect([...(found?.rows ?? [])]).toEqual(['a cut'])
})
