import { describe, expect, it } from 'vitest'
import { SeededRandom, uuidv7, VirtualClock } from '../../kernel/index.ts'
import { commit, message, openEngine } from '../file.test-support.ts'

const appendOf = (stream: string, ...messages: ReturnType<typeof message>[]) => ({
  append: [{ stream, events: messages.map((one) => ({ message: one })) }],
})

describe('the writer of events', () => {
  it('recognises events by their UUID in either case, and others by source and id', async () => {
    await using engine = await openEngine(':memory:')
    const id = '01890a5d-ac96-774b-bcce-b302099a8057'
    await commit(engine, appendOf('s', message('A', 1, { id })))
    const again = await commit(engine, appendOf('s', message('A', 1, { id: id.toUpperCase(), source: '/elsewhere' })))
    expect(again.appended[0]).toMatchObject({ firstVersion: 1, duplicate: true })
    await commit(engine, appendOf('s', message('A', 2, { id: '7', source: '/a' })))
    const other = await commit(engine, appendOf('s', message('A', 2, { id: '7', source: '/b' })))
    expect(other.appended[0]).toMatchObject({ firstVersion: 3, duplicate: false })
    const known = await commit(engine, appendOf('s', message('A', 2, { id: '7', source: '/a' })))
    expect(known.appended[0]).toMatchObject({ firstVersion: 2, duplicate: true })
  })

  it('recognises ids in any order of their coming: the greatest one is only a short cut', async () => {
    await using engine = await openEngine(':memory:')
    const nextId = uuidv7(new VirtualClock(), new SeededRandom(3))
    const ids = Array.from({ length: 50 }, nextId)
    const shuffled = ids.toSorted((a, b) => (a.slice(-6) < b.slice(-6) ? -1 : 1))
    for (const id of shuffled) await commit(engine, appendOf(`s-${id}`, message('A', null, { id })))
    for (const id of ids) {
      const again = await commit(engine, appendOf(`s-${id}`, message('A', null, { id })))
      expect(again.appended[0]?.duplicate).toBe(true)
    }
    expect(await engine.events.lastPosition()).toBe(50)
  })

  it('refuses an id twice in one commit, and leaves no trace of it', async () => {
    await using engine = await openEngine(':memory:')
    const twice = message('A')
    const outcome = await engine.commit({
      append: [
        { stream: 's', events: [{ message: twice }] },
        { stream: 'r', events: [{ message: twice }] },
      ],
    })
    expect(outcome).toMatchObject({ ok: false, conflict: { kind: 'event-id', stream: 'r', id: twice.id } })
    expect(await engine.events.describeStream('s')).toBeUndefined()
    expect((await commit(engine, appendOf('r', twice))).appended[0]).toMatchObject({ firstVersion: 1, lastPosition: 1 })
  })

  it('lets an event that was removed be appended again', async () => {
    await using engine = await openEngine(':memory:')
    const one = message('A')
    await commit(engine, appendOf('s', one))
    await engine.events.deleteStream('s')
    const again = await commit(engine, appendOf('s', one))
    expect(again.appended[0]).toMatchObject({ firstVersion: 3, lastPosition: 2, duplicate: false })
  })

  it('never lets times fall or ids go back when the clock does', async () => {
    const clock = new VirtualClock()
    await using engine = await openEngine(':memory:', {}, clock)
    await commit(engine, appendOf('s', message('A')))
    const startMs = clock.nowMs()
    for (const wallMs of [startMs + 5_000, startMs - 60_000, 0, startMs + 1]) {
      clock.setWallClock(wallMs)
      await commit(engine, appendOf('s', message('A')))
    }
    const times = (await Array.fromAsync(engine.events.readAll())).map(({ timestampMs }) => timestampMs)
    expect(times).toEqual([startMs, startMs + 5_000, startMs + 5_000, startMs + 5_000, startMs + 5_000])
    const from = await Array.fromAsync(engine.events.readAll({ fromTimeMs: startMs + 1 }))
    expect(from.map(({ position }) => position)).toEqual([2, 3, 4, 5])
    const nextId = uuidv7(clock, new SeededRandom(1))
    const ids: string[] = []
    for (const wallMs of [startMs, startMs - 10_000, startMs + 1, 5]) {
      clock.setWallClock(wallMs)
      ids.push(nextId(), nextId())
    }
    expect(ids).toEqual(ids.toSorted())
  })
})
