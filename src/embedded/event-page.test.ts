import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { StoredEvent } from '../engine/index.ts'
import { alter, codeOf, commit, emptied, message, openEngine, temporaryFolder } from './file.test-support.ts'

const folder = temporaryFolder()
const eventCount = 300

/** Three streams by turns, over more than two pages; every other event has tags, as odd as they may be. */
const appended = Array.from({ length: eventCount }, (_, n) => ({
  stream: `stream-${n % 3}`,
  message: message('Tested', { n, text: 'é🚲\0"\n'.repeat(n % 5) }),
  tags: n % 2 === 0 ? [] : [`n,${n}`, '"é"', 'a:\\n', `${n % 7}`],
}))

async function filled(name: string): Promise<string> {
  const path = join(folder, `${name}.db`)
  await using engine = await openEngine(path)
  await commit(engine, { append: appended.map(({ stream, ...event }) => ({ stream, events: [event] })) })
  return path
}

function contentOf({ stream, message, tags }: Pick<StoredEvent, 'stream' | 'message' | 'tags'>): unknown {
  return { stream, message, tags: [...tags].sort() }
}

describe('pages of events', () => {
  it('hold what was appended, in both directions, in a stream and in all of them', async () => {
    await using engine = await openEngine(await filled('whole'))
    const all = await Array.fromAsync(engine.events.readAll())
    expect(all.map(contentOf)).toEqual(appended.map(contentOf))
    expect(all.map(({ position }) => position)).toEqual(appended.map((_, index) => index + 1))
    expect(await Array.fromAsync(engine.events.readAll({ direction: 'backward' }))).toEqual(all.toReversed())
    const one = all.filter(({ stream }) => stream === 'stream-1')
    expect(one.map(({ version }) => version)).toEqual(one.map((_, index) => index + 1))
    expect(await Array.fromAsync(engine.events.readStream('stream-1'))).toEqual(one)
    const backward = engine.events.readStream('stream-1', { direction: 'backward' })
    expect(await Array.fromAsync(backward)).toEqual(one.toReversed())
  })

  it('give what stands before a damaged event, and name its position', async () => {
    const path = await filled('damaged')
    alter(
      path,
      `UPDATE event SET bytes = CAST(substr(bytes, 1, 99) || x'00' || substr(bytes, 101) AS BLOB) WHERE position = 100`,
    )
    await using engine = await openEngine(path, { readOnly: true })
    const seen: number[] = []
    const reading = (async () => {
      for await (const { position } of engine.events.readAll()) seen.push(position)
    })()
    await expect(reading).rejects.toMatchObject({
      code: 'FILE_DAMAGED',
      details: { place: expect.stringContaining('position 100 (') as string },
    })
    expect(seen).toEqual(Array.from({ length: 99 }, (_, index) => index + 1))
    expect((await Array.fromAsync(engine.events.readStream('stream-1'))).length).toBe(eventCount / 3)
  })

  it.each([
    ['no stream of that id', "DELETE FROM stream WHERE name = 'stream-2'"],
    [
      'an event that is longer than its batch',
      `UPDATE event SET bytes = CAST(bytes || x'00' AS BLOB) WHERE position = 7`,
    ],
    ['an event that is none', `UPDATE event SET bytes = x'' WHERE position = 7`],
    ['tags of two lines', `UPDATE event SET tags = '[' || char(10) || ']' WHERE position = 7`],
    ['bytes that are not there', emptied('event', 'bytes', 'BLOB')],
    ['times that are not there', emptied('event', 'time_ms', 'INTEGER')],
  ])('are damage where there is %s', async (name, sql) => {
    const path = await filled(name.replaceAll(' ', '-'))
    alter(path, sql)
    await using engine = await openEngine(path, { readOnly: true })
    expect(await codeOf(Array.fromAsync(engine.events.readAll()))).toBe('FILE_DAMAGED')
  })
})
