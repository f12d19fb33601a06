import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'

const root = join(import.meta.dirname, '..')
const page = readFileSync(join(root, 'docs/case-lists.md'), 'utf8')

/** A test as the page names it, `file: title`. Titles may have colons; paths have none. */
const tests = [...page.matchAll(/`([\w./-]+\.ts): ([^`]+)`/g)].map(([, file, title]) => ({
  file: file as string,
  title: title as string,
}))

/** Whether the file has that title as a whole string: a part of a longer title is another test. */
function isThere(file: string, title: string): boolean {
  const path = join(root, file)
  if (!existsSync(path)) return false
  const text = readFileSync(path, 'utf8')
  return ["'", '"', '`'].some((quote) => text.includes(`${quote}${title}${quote}`))
}

/** The last cells of the rows of the page, without headings and lines below them. */
const verdicts = [...page.matchAll(/^\|(?! *-)(.+)\|$/gm)]
  .map(([, row]) => (row as string).split(' | ').at(-1)?.trim() ?? '')
  .filter((cell) => cell !== 'our tests')

describe('docs/case-lists.md', () => {
  it('names only tests that are there', () => {
    expect(tests.filter(({ file, title }) => !isThere(file, title))).toEqual([])
    expect(tests.length).toBeGreaterThan(0)
  })

  it('has a verdict for each case: tests, a reason why not, or that it is missing', () => {
    expect(verdicts.filter((cell) => !/^(`[\w./-]+\.ts: |does not apply: |missing: )/.test(cell))).toEqual([])
    expect(verdicts.length).toBeGreaterThan(0)
  })
})
