import { copyFileSync, readFileSync, rmSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { MillraceError } from '../kernel/index.ts'
import type { EmbeddedEngine } from './embedded-engine.ts'
import { codeOf, commit, dataOf, message, numbered, openEngine, temporaryFolder } from './file.test-support.ts'

const folder = temporaryFolder()
const original = join(folder, 'original.db')
let engine: EmbeddedEngine

/** Records in a file that is still open: all but the settings of the topic may stand in the log alone. */
const recordCount = 3_000

beforeAll(async () => {
  engine = await openEngine(original)
  await engine.topics.create('orders', { partitions: 1 })
  for (let first = 0; first < recordCount; first += 100) {
    await commit(engine, {
      publish: [{ topic: 'orders', messages: numbered(100, first) }],
      state: [{ kind: 'set', namespace: 'n', key: 'end', value: first + 100 }],
    })
  }
})

afterAll(() => engine.close())

/** A copy of the file as a crash would have left it, or, when `isClosed`, as an orderly end does. */
async function copy(name: string, isClosed = false): Promise<string> {
  const path = join(folder, name)
  copyFileSync(original, path)
  copyFileSync(`${original}-wal`, `${path}-wal`)
  if (isClosed) await (await openEngine(path)).close()
  return path
}

/** What is left is a prefix of what was written: topic and state of the same commits. */
async function expectPrefix(path: string): Promise<number> {
  await using opened = await openEngine(path)
  if ((await opened.topics.describe('orders')) === undefined) return await opened.state.count('n')
  const data = await dataOf(opened, 'orders')
  expect(data).toEqual(Array.from({ length: data.length }, (_, i) => i))
  expect(await opened.state.get('n', 'end').then((entry) => entry?.value ?? 0)).toBe(data.length)
  expect((await opened.verify()).damages).toEqual([])
  // It goes on from there.
  await commit(opened, { publish: [{ topic: 'orders', messages: numbered(1, data.length) }] })
  expect((await dataOf(opened, 'orders')).length).toBe(data.length + 1)
  return data.length
}

describe('a file after a crash', () => {
  it('has everything that was acknowledged', async () => {
    expect(await expectPrefix(await copy('crashed.db'))).toBe(recordCount)
  })

  it.each([0, 1, 31, 32, 33, 4_000, 50_000, 100_000])(
    'whose log is cut %i bytes before its end has a prefix',
    async (cut) => {
      const path = await copy(`cut-${cut}.db`)
      const size = statSync(`${path}-wal`).size
      truncateSync(`${path}-wal`, size - cut)
      const left = await expectPrefix(path)
      expect(left < recordCount).toBe(cut > 0)
    },
  )

  it('whose log has a wrong byte in the middle has a prefix', async () => {
    const path = await copy('flipped-log.db')
    const log = readFileSync(`${path}-wal`)
    const middle = Math.floor(log.length / 2)
    log[middle] = (log[middle] as number) ^ 0x40
    writeFileSync(`${path}-wal`, log)
    const left = await expectPrefix(path)
    expect(left).toBeGreaterThan(0)
    expect(left).toBeLessThan(recordCount)
  })

  it('whose log is gone is as the last checkpoint left it', async () => {
    const path = await copy('no-log.db')
    rmSync(`${path}-wal`)
    expect(await codeOf(expectPrefix(path))).toEqual({ resolved: expect.any(Number) })
  })

  it('that is empty beside a log that is not is refused, and the log kept', async () => {
    const path = await copy('emptied.db')
    const size = statSync(`${path}-wal`).size
    truncateSync(path, 0)
    expect(await codeOf(openEngine(path))).toBe('FILE_DAMAGED')
    expect(statSync(`${path}-wal`).size).toBe(size)
  })
})

describe('a damaged file', () => {
  it('that lost its end is refused', async () => {
    const path = await copy('short.db', true)
    truncateSync(path, Math.floor(statSync(path).size / 2 / 8192) * 8192)
    expect(await codeOf(openEngine(path))).toBe('FILE_DAMAGED')
    expect(await codeOf(openEngine(path, { readOnly: true }))).toBe('FILE_DAMAGED')
  })

  it('with another header is refused as no file of ours', async () => {
    const path = await copy('header.db', true)
    const bytes = readFileSync(path)
    bytes.fill(0xaa, 0, 100)
    writeFileSync(path, bytes)
    expect(await codeOf(openEngine(path))).toBe('FILE_FOREIGN')
    expect(readFileSync(path).equals(bytes)).toBe(true)
  })

  it.each([
    ['a column of a table', 'value TEXT NOT NULL', 'valUe TEXT NOT NULL', 'state'],
    ['a column of an index', 'ON timer (owner, due_ms)', 'ON timer (due_ms, owner)', 'timer_by_due'],
  ])('with %s in another definition is refused, though SQLite takes it', async (_, from, to, name) => {
    const path = await copy('defined.db', true)
    const bytes = readFileSync(path)
    const at = bytes.indexOf(from)
    expect(at).toBeGreaterThan(0)
    bytes.write(to, at, 'latin1')
    writeFileSync(path, bytes)
    await expect(openEngine(path)).rejects.toMatchObject({
      code: 'FILE_DAMAGED',
      message: expect.stringContaining(`the definition of "${name}" is not that of format 3`),
    })
  })

  it('can be locked and opened again after a refusal', async () => {
    const path = await copy('refused.db', true)
    const bytes = readFileSync(path)
    writeFileSync(path, bytes.subarray(0, 8192))
    expect(await codeOf(openEngine(path))).toBe('FILE_DAMAGED')
    writeFileSync(path, bytes)
    expect(await expectPrefix(path)).toBe(recordCount)
  })

  it('never serves what was not written, whichever page is overwritten', async () => {
    const intact = readFileSync(await copy('pages.db', true))
    const pageBytes = 8192
    let servedWhole = 0
    let refused = 0
    for (let page = 1; page < intact.length / pageBytes; page++) {
      const path = join(folder, `page-${page}.db`)
      const bytes = Buffer.from(intact)
      bytes.fill(0xa5, page * pageBytes, (page + 1) * pageBytes)
      writeFileSync(path, bytes)
      const outcome = await codeOf(readEverything(path))
      if (typeof outcome === 'string') refused++
      else servedWhole++
      expect(outcome).toSatisfy(
        (it: unknown) => it === 'FILE_DAMAGED' || (it as { resolved?: unknown }).resolved === recordCount,
        `page ${page}: ${JSON.stringify(outcome)}`,
      )
      for (const end of ['', '-wal', '-shm', '-lock']) rmSync(path + end, { force: true })
    }
    expect(refused).toBeGreaterThan(0)
    expect(servedWhole).toBeGreaterThan(0)
  })

  it.each([
    ['is overwritten', 0xa5],
    ['is empty', 0],
  ])(
    'that is opened for writing is refused as damaged or stops for it, wherever half a page %s',
    async (_, filling) => {
      const intact = await smallFile()
      const halfBytes = 4096
      const outcomes: string[] = []
      for (let half = 1; half < intact.length / halfBytes; half++) {
        const path = join(folder, `half-${half}.db`)
        const bytes = Buffer.from(intact)
        bytes.fill(filling, half * halfBytes, (half + 1) * halfBytes)
        writeFileSync(path, bytes)
        outcomes.push(await openAndCommit(path))
        for (const end of ['', '-wal', '-shm', '-lock']) rmSync(path + end, { force: true })
      }
      expect(new Set(outcomes)).toEqual(new Set(['refused: FILE_DAMAGED', 'stopped: the file is damaged', 'committed']))
    },
  )
})

/** A closed file with a row in each table that is needed to open one. */
async function smallFile(): Promise<Buffer> {
  const path = join(folder, 'small.db')
  await using small = await openEngine(path)
  if ((await small.topics.describe('orders')) === undefined) await small.topics.create('orders', { partitions: 1 })
  await commit(small, {
    publish: [{ topic: 'orders', messages: numbered(100) }],
    append: [{ stream: 's', events: [{ message: message('Happened', 1), tags: ['a'] }] }],
    state: [{ kind: 'set', namespace: 'n', key: 'end', value: 1 }],
    timers: [{ kind: 'schedule', owner: 'o', id: 't', dueMs: 10 ** 13, payload: 1 }],
  })
  await small.close()
  return readFileSync(path)
}

/** What became of a file that was opened for writing and written to. */
async function openAndCommit(path: string): Promise<string> {
  let opened: EmbeddedEngine
  try {
    opened = await openEngine(path)
  } catch (error) {
    return `refused: ${(error as MillraceError).code}`
  }
  try {
    await commit(opened, {
      publish: [{ topic: 'orders', messages: numbered(1) }],
      state: [{ kind: 'set', namespace: 'n', key: 'new', value: 1 }],
    })
    return 'committed'
  } catch (error) {
    const { message } = error as Error
    return message.includes('the file is damaged') ? 'stopped: the file is damaged' : message
  } finally {
    await opened.close().catch(() => undefined)
  }
}

/** How many records and values a file yields; throws where it is damaged. */
async function readEverything(path: string): Promise<number> {
  await using reader = await openEngine(path, { readOnly: true })
  const data = await dataOf(reader, 'orders')
  expect(data).toEqual(Array.from({ length: data.length }, (_, i) => i))
  await reader.state.range('n')
  await Array.fromAsync(reader.events.readAll())
  await reader.timers.list()
  return data.length
}
