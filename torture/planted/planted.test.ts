import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { plantedBugs } from './index.ts'
import { edited } from './planted-bug.ts'

const root = join(import.meta.dirname, '..', '..')

describe('the bugs that are planted', () => {
  it.each(plantedBugs)('$name: has its place in the sources as they are', ({ edits }) => {
    const texts = new Map<string, string>()
    for (const edit of edits) {
      const text = texts.get(edit.file) ?? readFileSync(join(root, edit.file), 'utf8')
      texts.set(edit.file, edited(text, edit))
    }
    for (const [file, text] of texts) expect(text).not.toBe(readFileSync(join(root, file), 'utf8'))
  })

  it('are at least twenty, of unique names', () => {
    const names = plantedBugs.map(({ name }) => name)
    expect(new Set(names).size).toBe(names.length)
    expect(names.length).toBeGreaterThanOrEqual(20)
  })

  it('are not planted where the source moved on, or says it twice', () => {
    expect(() => edited('a b', { file: 'f', from: 'c', to: 'd' })).toThrow('holds 0 times')
    expect(() => edited('a a', { file: 'f', from: 'a', to: 'd' })).toThrow('holds 2 times')
  })
})
