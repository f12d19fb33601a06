import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { command, event, upcastFrom } from '../message/index.ts'
import { accountDecider, CarriedForward, Deposit, Deposited, Open, Opened } from './account.test-support.ts'
import { answer, boundary, decideCommand, decider, isRejection, projection, reject } from './index.ts'

/** Names of the options that are refused. */
function refused(make: () => unknown): string[] {
  try {
    make()
    return []
  } catch (error) {
    const { details } = error as { readonly details: { readonly problems: readonly { readonly option: string }[] } }
    return details.problems.map(({ option }) => option)
  }
}

const zero: number = 0
const good = {
  commands: [Open],
  events: [Opened],
  stream: () => 's',
  initialState: zero,
  decide: { Open: () => undefined },
  evolve: { Opened: () => 0 },
} as const

describe('a decider', () => {
  it('refuses all options that cannot be used, together', () => {
    expect(refused(() => decider('d', good))).toEqual([])
    const bad = {
      ...good,
      commands: [Opened],
      events: [],
      stream: 's',
      decide: { Other: 1 },
      version: 0,
      remember: '1ms',
      publish: 'yes',
      carriesForward: CarriedForward,
      snapshots: 1,
    }
    expect(refused(() => decider('d', bad as never))).toEqual([
      'snapshots',
      'commands',
      'events',
      'stream',
      'decide.Opened',
      'decide.Other',
      'evolve.Opened',
      'version',
      'carriesForward',
      'publish',
      'remember',
    ])
    expect(refused(() => decider('d', { ...good, events: [Opened, Opened] } as never))).toEqual(['events'])
  })

  it('reads events of older versions by the upcasts of their definitions', () => {
    const Old = event('Renamed', { data: z.object({ title: z.string() }) })
    const New = event('Renamed', {
      version: 2,
      data: z.object({ name: z.string() }),
      upcast: upcastFrom(1, ({ title }: { title: string }) => ({ name: title })),
    })
    const named = decider('d', {
      commands: [Open],
      events: [New],
      stream: () => 's',
      initialState: '',
      decide: { Open: (_command, state) => reject('NAMED', state) },
      evolve: { Renamed: (_state, { data }) => data.name },
    })
    const events = [New({ name: 'first' }), Old({ title: 'second' })]
    expect(decideCommand(named, events as never, Open({ id: 'a' }))).toMatchObject({ reason: 'second' })
  })

  it.each([
    ['a foreign event', () => CarriedForward({ id: 'a', amount: 1 }), 'CarriedForward is not among its events'],
    ['no event', () => ({ type: 'Opened' }), 'an object with type is no event'],
    ['a promise', () => Promise.resolve(Opened({ id: 'a' })), 'a promise is no event'],
    ['a number', () => [7], '7 is no event'],
  ])('may not decide on %s', (_what, decide, reason) => {
    const wrong = decider('d', { ...good, decide: { Open: decide as never } })
    expect(() => decideCommand(wrong, [], Open({ id: 'a' }))).toThrow(reason)
  })

  it('does not pass over an event that it does not know', () => {
    const one = decider('d', good)
    expect(() => decideCommand(one, [Deposited({ id: 'a', amount: 1 })], Open({ id: 'a' }))).toThrow(
      expect.objectContaining({ code: 'STREAM_EVENT_UNKNOWN' }),
    )
  })

  it('may not have a state that JSON cannot carry', () => {
    const dated = decider('d', { ...good, initialState: {}, evolve: { Opened: () => ({ at: new Date(0) }) as never } })
    expect(() => decideCommand(dated, [Opened({ id: 'a' })], Open({ id: 'a' }))).toThrow('state.at')
  })

  it('is a plain pair of functions too', () => {
    const account = accountDecider()
    const state = account.evolve(account.initialState, Opened({ id: 'a' }))
    expect(state).toEqual({ isOpen: true, balance: 0 })
    expect(account.decide(Deposit({ id: 'a', amount: 1 }), state)).toMatchObject({ type: 'Deposited' })
    expect(isRejection(account.decide(Deposit({ id: 'a', amount: 1 }), account.initialState))).toBe(true)
  })
})

describe('a boundary and its projections', () => {
  const count = { events: [Opened], initial: 0, on: { Opened: (n: number) => n + 1 } } as const

  it('refuse all options that cannot be used, together', () => {
    const one = { command: Open, events: [Opened], reads: () => ({}), decide: () => undefined } as const
    expect(refused(() => boundary('b', one))).toEqual([])
    const bad = { command: Opened, events: [Open], reads: 1, decide: {}, stream: 's', remember: -1, tags: [] }
    expect(refused(() => boundary('b', bad as never))).toEqual([
      'tags',
      'command',
      'events',
      'reads',
      'decide',
      'stream',
      'remember',
    ])
    expect(refused(() => projection({ ...count, tags: [''], onlyLast: 1, on: {}, is: 1 } as never))).toEqual([
      'is',
      'on.Opened',
      'tags',
      'onlyLast',
    ])
  })

  it('count the last event alone, if they say so', () => {
    const Tag = event('Tagged', { data: z.object({ id: z.string() }), tags: ({ id }) => [`id:${id}`] })
    const seen: number[] = []
    const reads = (onlyLast: boolean) =>
      boundary('b', {
        command: Open,
        events: [Opened],
        reads: ({ data }) => ({
          count: projection({
            events: [Tag],
            tags: [`id:${data.id}`],
            initial: 0,
            onlyLast,
            on: { Tagged: (n) => n + 1 },
          }),
        }),
        decide: (_command, read) => {
          seen.push(read.count)
          return reject('SEEN')
        },
      })
    const events = ['a', 'b', 'a', 'a'].map((id) => Tag({ id }))
    for (const onlyLast of [false, true]) decideCommand(reads(onlyLast), events, Open({ id: 'a' }))
    expect(seen).toEqual([3, 1])
  })
})

describe('reject and answer', () => {
  it('refuse what cannot be used', () => {
    expect(() => reject('CODE', 'why', { at: new Date(0) } as never)).toThrow('details.at')
    expect(refused(() => answer(command('X') as never, 1 as never))).toEqual(['query', 'run'])
  })
})
