import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { accountDecider, CarriedForward, Deposit, Deposited, Open } from '../domain/account.test-support.ts'
import { boundary, projection } from '../domain/index.ts'
import type { EmbeddedEngine } from '../embedded/index.ts'
import type { Engine, NewEvent } from '../engine/index.ts'
import { SeededRandom } from '../kernel/index.ts'
import { command, event, type Message } from '../message/index.ts'
import { memoryEngine, withCommits } from './app.test-support.ts'
import { app, type RunningApp, service } from './index.ts'

const amounts = z.object({ id: z.string(), amount: z.number() })
const Donate = command('Donate', { data: amounts, key: (d) => d.id })
const Donated = event('Donated', { topic: 'donations', data: amounts, tags: (d) => [`cause:${d.id}`] })
const donate = boundary('donate', {
  command: Donate,
  events: [Donated],
  stream: () => 'donations',
  reads: ({ data }) => ({
    sum: projection({
      events: [Donated],
      tags: [`cause:${data.id}`],
      initial: 0,
      on: { Donated: (sum, { data: given }) => sum + given.amount },
    }),
  }),
  decide: ({ data }) => Donated(data),
})

const account = accountDecider()
const bank = app('bank', { services: [service('accounts', [account, donate])] })

/** Pauses between two tries have no length. */
const random = Object.assign(new SeededRandom(1), { nextFloat: () => 0 })

interface Kind {
  readonly stream: string
  readonly command: () => Message
  /** What somebody else appends, again and again. */
  readonly foreign: () => NewEvent
}

const kinds: [string, Kind][] = [
  [
    'a decider',
    {
      stream: 'account-a',
      command: () => Deposit({ id: 'a', amount: 5 }),
      foreign: () => ({ message: Deposited({ id: 'a', amount: 1 }) }),
    },
  ],
  [
    'a boundary',
    {
      stream: 'donations',
      command: () => Donate({ id: 'a', amount: 5 }),
      foreign: () => ({ message: Donated({ id: 'a', amount: 1 }), tags: ['cause:a'] }),
    },
  ],
]

/** An app on whose stream somebody else is always faster, until `isCalm`. */
async function contested({ stream, foreign }: Kind): Promise<
  {
    readonly engine: EmbeddedEngine
    readonly running: RunningApp
    readonly state: { isCalm: boolean; metCount: number }
  } & AsyncDisposable
> {
  const engine = await memoryEngine()
  const state = { isCalm: true, metCount: 0 }
  const busy: Engine = withCommits(engine, async ({ append = [] }) => {
    if (state.isCalm || !append.some((one) => one.stream === stream)) return
    state.metCount++
    await engine.commit({ append: [{ stream, events: [foreign()] }] })
  })
  const running = await bank.start({ engine: busy, random })
  await running.ask(Open({ id: 'a' }))
  state.isCalm = false
  return {
    engine,
    running,
    state,
    [Symbol.asyncDispose]: async () => {
      await running.stop()
      await engine.close()
    },
  }
}

/** Amounts in a stream that come from a command, not from somebody else. */
async function decidedIn(engine: Engine, stream: string): Promise<unknown[]> {
  const events = await Array.fromAsync(engine.events.readStream(stream))
  return events.flatMap(({ message }) => (message.causationid === undefined ? [] : [message.data]))
}

describe.each(kinds)('a command of %s that always meets somebody who was faster', (_what, kind) => {
  it('is given up when it was asked: whoever asked is told, and nothing of it is written', async () => {
    await using ground = await contested(kind)
    const { engine, running, state } = ground
    const before = await decidedIn(engine, kind.stream)
    const asked = kind.command()
    await expect(running.ask(asked)).rejects.toMatchObject({
      code: 'COMMAND_CONFLICT',
      details: { attempts: 31 },
    })
    expect(state.metCount).toBe(31)
    expect(await decidedIn(engine, kind.stream)).toEqual(before)
    state.isCalm = true
    // It was never decided, so it is no repetition.
    expect(await running.ask(asked)).toMatchObject({ kind: 'accepted', repeated: false })
    expect(await decidedIn(engine, kind.stream)).toEqual([...before, { id: 'a', amount: 5 }])
  })

  it('is given up when another app asked: it is told, and nothing of it is written', async () => {
    await using ground = await contested(kind)
    const { engine, running, state } = ground
    const front = app('front', { remote: [Deposit, Donate] })
    await using asker = await front.start({ engine })
    const before = await decidedIn(engine, kind.stream)
    const asked = kind.command()
    await expect(asker.ask(asked)).rejects.toMatchObject({
      code: 'ASK_FAILED',
      details: { error: 'REPLY_NOT_COMMITTED' },
    })
    expect(state.metCount).toBeGreaterThan(30)
    expect(await decidedIn(engine, kind.stream)).toEqual(before)
    state.isCalm = true
    expect(await asker.ask(asked)).toMatchObject({ kind: 'accepted', repeated: false })
    expect(await decidedIn(engine, kind.stream)).toEqual([...before, { id: 'a', amount: 5 }])
    expect(await running.deadLetters.list()).toEqual([])
  })

  it('becomes a dead letter when it was sent, and is done when that is redriven', async () => {
    await using ground = await contested(kind)
    const { engine, running, state } = ground
    const before = await decidedIn(engine, kind.stream)
    await running.send(kind.command())
    await running.idle()
    const letters = await running.deadLetters.list()
    expect(letters.map(({ error, attempts }) => [error.code, attempts])).toEqual([['APPEND_CONFLICT', 5]])
    expect(await decidedIn(engine, kind.stream)).toEqual(before)
    state.isCalm = true
    await running.deadLetters.redrive('all')
    await running.idle()
    expect(await running.deadLetters.count()).toBe(0)
    expect(await decidedIn(engine, kind.stream)).toEqual([...before, { id: 'a', amount: 5 }])
  })
})

it('books that always meet somebody who was faster are not closed', async () => {
  const [[, kind]] = kinds as [[string, Kind]]
  await using ground = await contested(kind)
  const { engine, running, state } = ground
  const close = () =>
    running.closeBooks(account, 'account-a', ({ balance }) => CarriedForward({ id: 'a', amount: balance }))
  await expect(close()).rejects.toMatchObject({ code: 'COMMAND_CONFLICT' })
  expect((await engine.events.describeStream('account-a'))?.version).toBe(1 + state.metCount)
  state.isCalm = true
  expect((await close()).event.data).toEqual({ id: 'a', amount: state.metCount })
})

it('a decider of another app has no books here', async () => {
  await using engine = await memoryEngine()
  await using running = await bank.start({ engine })
  const foreign = accountDecider()
  await expect(
    running.closeBooks(foreign, 'account-a', () => CarriedForward({ id: 'a', amount: 1 })),
  ).rejects.toMatchObject({ code: 'DECIDER_UNKNOWN', details: { app: 'bank' } })
})
