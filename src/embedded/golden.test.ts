import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { gunzipSync } from 'node:zlib'
import { describe, expect, it } from 'vitest'
import { codeOf, commit, message, openEngine, temporaryFolder } from './file.test-support.ts'
import { fillGolden, goldenClock, goldenPath, readGolden } from './golden.test-support.ts'
import { formatVersion, pragmaNumber } from './store/schema.ts'

const folder = temporaryFolder()
const versions = readdirSync(goldenPath)
  .flatMap((name) => /^format-(\d+)\.db\.gz$/.exec(name)?.[1] ?? [])
  .map(Number)

function unpack(version: number, name: string): string {
  const path = join(folder, `${name}-${version}.db`)
  writeFileSync(path, gunzipSync(readFileSync(join(goldenPath, `format-${version}.db.gz`))))
  return path
}

const expected = (version: number): unknown =>
  JSON.parse(readFileSync(join(goldenPath, `format-${version}.json`), 'utf8'))

/** Numbers of lag depend on the clock, which goes on from where the file was written. */
const laterClock = async (): Promise<ReturnType<typeof goldenClock>> => {
  const clock = goldenClock()
  await clock.advance('1h')
  return clock
}

const withoutAges = (content: unknown): unknown =>
  JSON.parse(JSON.stringify(content, (key, value: unknown) => (key === 'lagSeconds' ? undefined : value)))

describe('golden databases', () => {
  it('there is one of every format version', () => {
    expect(versions.toSorted((a, b) => a - b)).toEqual(Array.from({ length: formatVersion }, (_, i) => i + 1))
  })

  it.each(versions)('of format %i: everything in it is read, also after a migration', async (version) => {
    const path = unpack(version, 'read')
    await using engine = await openEngine(path, {}, await laterClock())
    expect(withoutAges(await readGolden(engine))).toEqual(withoutAges(expected(version)))
    expect((await engine.verify()).damages).toEqual([])
    await engine.close()
    const db = new DatabaseSync(path)
    expect(pragmaNumber(db, 'user_version')).toBe(formatVersion)
    db.close()
  })

  it.each(versions)('of format %i: work goes on where it stood', async (version) => {
    await using engine = await openEngine(unpack(version, 'go-on'), {}, await laterClock())
    const last = await engine.events.lastPosition()
    const event = { message: message('Changed', 'more'), tags: ['even'] }
    const { appended } = await commit(engine, { append: [{ stream: 'account/1', expected: 5, events: [event] }] })
    expect(appended[0]).toMatchObject({ firstVersion: 6, lastPosition: last + 1, duplicate: false })
    // An event and a batch that were written then are known.
    const [first] = await Array.fromAsync(engine.events.readStream('account/2', { limit: 1 }))
    if (first === undefined) throw new TypeError('the stream is empty')
    const again = await commit(engine, { append: [{ stream: 'account/2', events: [{ message: first.message }] }] })
    expect(again.appended[0]).toMatchObject({ firstVersion: 1, duplicate: true })
    const repeated = { producerId: 1, epoch: 1, sequence: 2 }
    const publish = { topic: 'orders.none', partition: 0, messages: [message('Imported', 2)], producer: repeated }
    const latest = await engine.topics.locate('orders.none', 0, 'latest')
    expect((await commit(engine, { publish: [publish] })).published[0]?.offset).toBe(latest - 1)
    expect(await codeOf(engine.commit({ publish: [{ ...publish, producer: { ...repeated, sequence: 9 } }] }))).toBe(
      'OUT_OF_SEQUENCE',
    )
    expect((await engine.commit({ append: [{ stream: 'closed', events: [event] }] })).ok).toBe(false)
    expect(
      (await commit(engine, { publish: [{ topic: 'customers', records: [{ key: 'a', value: '4' }] }] })).published,
    ).toEqual([{ topic: 'customers', partition: 0, offset: 8 }])
    const timer = (await engine.timers.due('saga', 1_770_001_000_000))[0]
    expect(timer).toMatchObject({ id: 'b', payload: 7 })
    await commit(engine, { timers: [{ kind: 'fire', owner: 'saga', id: 'b', revision: Number(timer?.revision) }] })
  })

  it('hold what this code would write', async () => {
    const clock = goldenClock()
    await using engine = await openEngine(':memory:', {}, clock)
    await fillGolden(engine, clock)
    // Another release of zlib may compress to another size.
    const isTaken = (key: string, value: unknown): unknown =>
      key === 'bytes' || key === 'lagSeconds' ? undefined : value
    const comparable = (content: unknown): unknown => JSON.parse(JSON.stringify(content, isTaken))
    expect(comparable(await readGolden(engine))).toEqual(comparable(expected(formatVersion)))
  })
})
