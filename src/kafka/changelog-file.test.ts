import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { ChangelogFile } from './changelog-file.ts'
import type { StateRecord } from './changelog-format.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-changelog-'))
afterAll(() => rmSync(folder, { recursive: true }))

let count = 0
const freshPath = (): string => join(folder, 'deep', `${count++}.db`)
const change = (key: string, value: unknown, revision = 1): StateRecord => ({
  namespace: 'n',
  key,
  value: JSON.stringify(value),
  revision,
})
const gone = (key: string): StateRecord => ({ namespace: 'n', key, value: null, revision: 0 })

describe('the file of a changelog', () => {
  it('holds what it was given, by partition, and how far that is', () => {
    const path = freshPath()
    const file = ChangelogFile.open(path, 'topic')
    expect(file.markOf(0)).toEqual({ position: 0, caughtUpAtMs: 0 })
    file.apply(0, [change('a', 1), change('b', 2), change('a', 3, 2), gone('b')], { position: 9, caughtUpAtMs: 5 })
    file.apply(1, [change('c', 4)], { position: 2, caughtUpAtMs: 6 })
    file.close()
    const again = ChangelogFile.open(path, 'topic')
    expect(again.markOf(0)).toEqual({ position: 9, caughtUpAtMs: 5 })
    expect(again.range('n', {})).toEqual([
      { key: 'a', value: 3, revision: 2 },
      { key: 'c', value: 4, revision: 1 },
    ])
    expect(again.range('n', {}, 1)).toEqual([{ key: 'c', value: 4, revision: 1 }])
    expect([again.count('n'), again.count('n', 0), again.count('m')]).toEqual([2, 1, 0])
    expect([again.namespaces(''), again.namespaces('', 7)]).toEqual([['n'], []])
    again.empty(0)
    expect([again.read('n', 'a'), again.read('n', 'c')?.value]).toEqual([undefined, '4'])
    expect(again.markOf(0).position).toBe(0)
    again.close()
  })

  it('is made anew when it is of another topic', () => {
    const path = freshPath()
    const file = ChangelogFile.open(path, 'topic')
    file.apply(0, [change('a', 1)], { position: 9, caughtUpAtMs: 5 })
    file.close()
    const other = ChangelogFile.open(path, 'made again under its name')
    expect([other.count('n'), other.markOf(0).position]).toEqual([0, 0])
    other.close()
  })

  it.each([
    ['no database', () => Buffer.from('something else entirely, long enough to be read as a header'.repeat(40))],
    ['cut off', (bytes: Buffer) => bytes.subarray(0, 3000)],
    [
      'overwritten in its first page',
      (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 20), Buffer.alloc(8000, 0xff)]),
    ],
  ])('is made anew when it is damaged: %s', (_what, damaged) => {
    const path = freshPath()
    const file = ChangelogFile.open(path, 'topic')
    const many = Array.from({ length: 200 }, (_, n) => change(`k${n}`, 'x'.repeat(100)))
    file.apply(0, many, { position: 9, caughtUpAtMs: 5 })
    file.close()
    writeFileSync(path, damaged(readFileSync(path)))
    const again = ChangelogFile.open(path, 'topic')
    expect([again.count('n'), again.markOf(0).position]).toEqual([0, 0])
    again.close()
  })

  it('belongs to one engine at a time, and says so', () => {
    const path = freshPath()
    const file = ChangelogFile.open(path, 'topic')
    expect(() => ChangelogFile.open(path, 'topic')).toThrow(/another engine is using it/)
    file.apply(0, [change('a', 1)], { position: 1, caughtUpAtMs: 1 })
    file.close()
    ChangelogFile.open(path, 'topic').close()
  })

  it('says where it cannot be made', () => {
    const taken = freshPath()
    ChangelogFile.open(taken, 'topic').close()
    expect(() => ChangelogFile.open(join(taken, 'inside a file.db'), 'topic')).toThrow(
      expect.objectContaining({ code: 'KAFKA_STATE_FILE_UNUSABLE' }),
    )
  })
})
