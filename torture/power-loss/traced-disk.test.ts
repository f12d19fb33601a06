import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { SeededRandom } from '../../src/kernel/index.ts'
import { type Change, contentAfter, FileContent, fates } from './file-content.ts'
import type { DiskCall, TracedCall } from './trace.ts'
import { type Fates, TracedDisk } from './traced-disk.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-traced-disk-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let imageCount = 0

const root = '/disk'
/** Calls one after the other, none interrupted: the n-th stands in line n. */
function inTurn(...calls: readonly (readonly [call: DiskCall, result: number])[]): TracedCall[] {
  return calls.map(([call, result], line) => ({ call, enter: line, exit: line, result }))
}

const opened = (path: string, descriptor: number, creates = true): readonly [DiskCall, number] => [
  { kind: 'open', path: join(root, path), creates, truncates: false },
  descriptor,
]
const written = (descriptor: number, offset: number, text: string): readonly [DiskCall, number] => [
  { kind: 'write', descriptor, offset, bytes: Buffer.from(text) },
  text.length,
]
const synced = (descriptor: number): readonly [DiskCall, number] => [{ kind: 'sync', descriptor }, 0]

/** What stands in a file after a power cut; undefined: there is none. */
function found(
  calls: readonly TracedCall[],
  line: number,
  fates: Fates,
  path: string,
  before = {},
): string | undefined {
  const disk = new TracedDisk(
    root,
    new Map(Object.entries(before).map(([name, text]) => [name, Buffer.from(String(text))])),
    calls,
  )
  disk.advanceTo(line)
  const target = join(folder, String(imageCount++))
  disk.writeImage(target, fates, new SeededRandom(1))
  return existsSync(join(target, path)) ? readFileSync(join(target, path), 'utf8') : undefined
}

const nothing: Fates = { content: 'dropped', names: 'dropped' }
const everything: Fates = { content: 'kept', names: 'kept' }

describe('a disk that is rebuilt', () => {
  const calls = inTurn(opened('a', 3, false), written(3, 0, 'one'), synced(3), written(3, 3, 'two'))

  it('has what was synced, and what was not only when it is kept', () => {
    expect(found(calls, 3, nothing, 'a', { a: '' })).toBe('one')
    expect(found(calls, 3, everything, 'a', { a: '' })).toBe('onetwo')
  })

  it('has nothing that comes after the cut', () => {
    expect(found(calls, 1, everything, 'a', { a: '' })).toBe('one')
    expect(found(calls, 1, nothing, 'a', { a: '' })).toBe('')
  })

  it('loses a new file, synced or not, whose folder was not synced', () => {
    const created = inTurn(opened('new', 3), written(3, 0, 'one'), synced(3), opened('', 4, false), synced(4))
    expect(found(created, 3, nothing, 'new')).toBe(undefined)
    expect(found(created, 3, everything, 'new')).toBe('one')
    expect(found(created, 4, nothing, 'new')).toBe('one')
  })

  it('has a file again that was removed, and an old name, until the folder is synced', () => {
    const changed = inTurn(
      [{ kind: 'unlink', path: join(root, 'a') }, 0],
      [{ kind: 'rename', from: join(root, 'b'), to: join(root, 'c') }, 0],
      opened('', 4, false),
      synced(4),
    )
    const before = { a: 'a', b: 'b' }
    expect(found(changed, 2, nothing, 'a', before)).toBe('a')
    expect(found(changed, 2, nothing, 'b', before)).toBe('b')
    expect(found(changed, 3, nothing, 'a', before)).toBe(undefined)
    expect(found(changed, 3, nothing, 'c', before)).toBe('b')
  })

  it('does not count as synced what a sync that failed or was still under way would have covered', () => {
    const failed = inTurn(opened('a', 3, false), written(3, 0, 'one'), [{ kind: 'sync', descriptor: 3 }, -1])
    expect(found(failed, 2, nothing, 'a', { a: '' })).toBe('')
    const underWay: TracedCall[] = [
      ...inTurn(opened('a', 3, false), written(3, 0, 'one')),
      { call: { kind: 'sync', descriptor: 3 }, enter: 2, exit: 5, result: 0 },
      { call: { kind: 'write', descriptor: 3, offset: 3, bytes: Buffer.from('two') }, enter: 3, exit: 4, result: 3 },
    ]
    expect(found(underWay, 4, nothing, 'a', { a: '' })).toBe('')
    // The write began while the sync ran, so nobody knows whether it is covered.
    expect(found(underWay, 5, nothing, 'a', { a: '' })).toBe('one')
    expect(found(underWay, 5, everything, 'a', { a: '' })).toBe('onetwo')
  })

  it('has no file that is cut, only the cut, when that was synced', () => {
    const cut = inTurn(opened('a', 3, false), [{ kind: 'truncate', descriptor: 3, byteCount: 1 }, 0], synced(3))
    expect(found(cut, 1, nothing, 'a', { a: 'abc' })).toBe('abc')
    expect(found(cut, 2, nothing, 'a', { a: 'abc' })).toBe('a')
  })
})

describe('what a file holds after a power cut', () => {
  const changes: Change[] = Array.from({ length: 6 }, (_, n) => ({
    kind: 'write',
    offset: n * 1024,
    bytes: Buffer.alloc(1024, 97 + n),
  }))

  it.each(fates)('(%s) is at every sector what was there, what was written, or, said so, garbage', (fate) => {
    for (let seed = 0; seed < 50; seed++) {
      const durable = new FileContent(Buffer.alloc(6 * 1024, '.'))
      const { bytes } = contentAfter(durable, changes, fate, new SeededRandom(seed))
      expect(durable.bytes.every((byte) => byte === 46)).toBe(true)
      for (let sector = 0; sector < bytes.length / 512; sector++) {
        const held = [...new Set(bytes.subarray(sector * 512, sector * 512 + 512))]
        const written = 97 + Math.floor(sector / 2)
        const allowed = { kept: [written], dropped: [46] }[String(fate)] ?? [46, written]
        const isWhole = held.length === 1 && allowed.includes(held[0] as number)
        expect(isWhole || fate === 'garbage', `seed ${seed}, sector ${sector}`).toBe(true)
      }
    }
  })

  it('differs from seed to seed where chance has a say', () => {
    const outcomes = (fate: (typeof fates)[number]): number =>
      new Set(
        Array.from({ length: 50 }, (_, seed) =>
          contentAfter(new FileContent(), changes, fate, new SeededRandom(seed)).bytes.toString('latin1'),
        ),
      ).size
    expect(outcomes('prefix')).toBeGreaterThan(3)
    for (const fate of ['subset', 'torn', 'garbage'] as const) expect(outcomes(fate)).toBeGreaterThan(10)
  })
})
