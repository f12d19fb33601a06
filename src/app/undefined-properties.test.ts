import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { decider, view } from '../domain/index.ts'
import { embedded } from '../embedded/index.ts'
import { command, event } from '../message/index.ts'
import { none, on, set } from '../runtime/index.ts'
import { messagesOf, temporaryFolder } from './app.test-support.ts'
import { app, type RunningApp, service } from './index.ts'

const noteData = z.object({ id: z.string(), note: z.string().optional(), list: z.array(z.unknown()).optional() })
const key = (d: { readonly id: string }): string => d.id
const Noted = event('Noted', { topic: 'notes', data: noteData, key })
const Take = command('Take', { data: noteData, key })

/** What a program sees of data and state, in its order. */
interface Seen {
  readonly messages: unknown[]
  readonly states: unknown[]
}

const undefinedNote = { id: 'a', note: undefined, list: [{ note: undefined }] }
const asKept = { id: 'a', list: [{}] }

/** Handlers, a view and a decider that put a property which is undefined into whatever they keep. */
function program(seen: Seen) {
  interface State {
    readonly count: number
    readonly note?: string | undefined
  }
  const next = (state: State): State => ({ count: state.count + 1, note: undefined })
  const initial: State = { count: 0, note: undefined }
  const handler = on(Noted, { name: 'h', retry: none, state: { initial } }, (message, state) => {
    seen.messages.push(message.data)
    seen.states.push(state)
    return set(next(state))
  })
  const notes = view('notes', { events: [Noted], key: ({ data }) => data.id, initial, on: { Noted: next } })
  const taker = decider('taker', {
    commands: [Take],
    events: [Noted],
    stream: ({ data }) => data.id,
    initialState: initial,
    decide: {
      Take: ({ data }, state) => {
        seen.states.push(state)
        return Noted(data)
      },
    },
    evolve: { Noted: next },
    publish: false,
  })
  return { shop: app('shop', { services: [service('s', [handler, taker])], views: [notes] }), notes }
}

describe('a property that is undefined', () => {
  it('is left out of messages and state, read back or not: what a program holds is what it will read', async () => {
    using folder = temporaryFolder()
    const seen: Seen = { messages: [], states: [] }
    const { shop, notes } = program(seen)
    const use = async (running: RunningApp, count: number): Promise<void> => {
      const made = Noted(undefinedNote)
      expect(made.data).toStrictEqual(asKept)
      await running.publish([made, { ...made, id: `${made.id}-by-hand`, data: undefinedNote }])
      await running.ask(Take(undefinedNote))
      await running.idle()
      expect(await running.view(notes).get('a')).toStrictEqual({ count: 2 * count })
    }
    for (const count of [1, 2]) {
      await using running = await shop.start({ engine: embedded({ path: folder.path('shop.db') }) })
      await use(running, count)
    }
    expect(seen.messages).toStrictEqual(Array(4).fill(asKept))
    const handled = [0, 1, 2, 3].map((count) => ({ count }))
    const decided = [0, 1].map((count) => ({ count }))
    expect(seen.states).toHaveLength(6)
    expect(seen.states).toStrictEqual(expect.arrayContaining([...handled, ...decided]))
    for (const state of seen.states) expect(state).not.toHaveProperty('note')
    await using engine = await embedded({ path: folder.path('shop.db') }).open()
    const read = await messagesOf(engine, 'notes')
    expect(read.map(({ data }) => data)).toStrictEqual(Array(4).fill(asKept))
    const appended = await Array.fromAsync(engine.events.readStream('a'))
    expect(appended.map(({ message }) => message.data)).toStrictEqual(Array(2).fill(asKept))
  })

  it('is refused in an array, where JSON would make it null', async () => {
    const list = [1, undefined]
    expect(() => Noted({ id: 'a', list })).toThrow(expect.objectContaining({ code: 'JSON_INVALID' }))
    const keeps = on(
      Noted,
      { name: 'h', retry: none, state: { initial: { list: [] as readonly (number | undefined)[] } } },
      () => set({ list }),
    )
    const shop = app('shop', { services: [service('s', [keeps])] })
    await using running = await shop.start({ engine: embedded({ path: ':memory:' }) })
    const byHand = { ...Noted({ id: 'a' }), data: { list } } as unknown as ReturnType<typeof Noted>
    await expect(running.publish(byHand)).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
    await running.publish(Noted({ id: 'a' }))
    await running.idle()
    const [letter] = await running.deadLetters.list()
    expect(letter?.error).toMatchObject({ code: 'JSON_INVALID', message: expect.stringContaining('state.list[1]') })
  })
})
