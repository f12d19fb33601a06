import { describe, expect, it } from 'vitest'
import { deployment } from '../bridge/index.ts'
import { answer, decider, history, projection, retireView, view } from '../domain/index.ts'
import { embedded, verifyFile } from '../embedded/index.ts'
import { MillraceError } from '../kernel/index.ts'
import { command, event, query } from '../message/index.ts'
import { append, byError, deadLettersOf, exponential, fixed, on, publish } from '../runtime/index.ts'
import { mermaid, saga } from '../saga/index.ts'
import { sqliteTables } from '../tables/index.ts'
import { memoryEngine, Placed, temporaryFolder } from './app.test-support.ts'
import { app, explain, service } from './index.ts'

const Take = command('Take')
const Taken = event('Taken')
const Ask = query('Ask', {
  result: { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } },
})
const handler = on(Placed, { name: 'h' }, () => [])
const taker = decider('taker', {
  commands: [Take],
  events: [Taken],
  stream: () => 's',
  initialState: 0,
  decide: { Take: () => Taken() },
  evolve: { Taken: (state: number) => state + 1 },
})
const counted = view('counted', { events: [Placed], key: () => 'k', initial: 0, on: { Placed: (n: number) => n + 1 } })
const waits = saga('waits', { start: Placed }, async () => undefined)
const shop = app('shop', {
  services: [service('s', [handler, taker, answer(Ask, () => 1)])],
  views: [counted],
  sagas: [waits],
})

/** What JavaScript callers send where the compiler would refuse it. */
const wrong = (value: unknown): never => value as never

describe('what is no argument of a running app is an error that says so', () => {
  it('in every call', async () => {
    await using engine = await memoryEngine()
    await using running = await shop.start({ engine })
    const reader = running.view(counted)
    const instances = running.saga(waits)
    const signalled = wrong({ signal: 'soon' })
    const calls: Readonly<Record<string, () => unknown>> = {
      'idle(null)': () => running.idle(wrong(null)),
      'idle(5)': () => running.idle(wrong(5)),
      'idle({ signal })': () => running.idle(signalled),
      'idle({ timeout })': () => running.idle(wrong({ timeout: '1s' })),
      'waitFor(…, { timeout })': () => running.waitFor(handler, [], wrong({ timeout: '1s' })),
      'ask(…, { timeuot })': () => running.ask(Take(), wrong({ timeuot: '1s' })),
      'query(…, { timeuot })': () => running.query(Ask, null, wrong({ timeuot: '1s' })),
      'view.waitFor(…, { timeout })': () => reader.waitFor([], wrong({ timeout: '1s' })),
      'view.rebuild({ swap })': () => reader.rebuild(wrong({ swap: 'x' })),
      'view.rebuild({ swap: null })': () => reader.rebuild(wrong({ swap: null })),
      'view.rebuild({ pace })': () => reader.rebuild(wrong({ pace: 5 })),
      'view.range({ perfix })': () => reader.range(wrong({ perfix: 'a' })),
      'view.watch({ perfix })': () => reader.watch(wrong({ perfix: 'a', signal: AbortSignal.abort() })),
      'saga.run(…, { timeout })': () => instances.run('k', wrong({}), wrong({ timeout: '1s' })),
      'saga.outcome(…, { timeout })': () => instances.outcome('k', wrong({ timeout: '1s' })),
      'waitFor(…, null)': () => running.waitFor(handler, [], wrong(null)),
      'waitFor(…, { signal })': () => running.waitFor(handler, [], signalled),
      'ask(…, null)': () => running.ask(Take(), wrong(null)),
      'ask(…, { signal })': () => running.ask(Take(), signalled),
      'ask(…, { timeout })': () => running.ask(Take(), wrong({ timeout: 'soon' })),
      'query(…, null)': () => running.query(Ask, null, wrong(null)),
      'query(…, { signal })': () => running.query(Ask, null, signalled),
      'ask(undefined)': () => running.ask(wrong(undefined)),
      'ask({ type })': () => running.ask(wrong({ type: 'Take' })),
      'send({ type })': () => running.send(wrong({ type: 'Take' })),
      'send(…, { after, at })': () => running.send(Take(), wrong({ after: '1ms', at: 5 })),
      'send(…, null)': () => running.send(Take(), wrong(null)),
      'send(bad, later)': () => running.send(wrong({ ...Take(), id: '' }), { after: '1h' }),
      'closeBooks(…, no function)': () => running.closeBooks(taker, 's', wrong(5)),
      'closeBooks(…, no stream)': () => running.closeBooks(taker, wrong(5), () => Taken()),
      'view.waitFor(…, null)': () => reader.waitFor([], wrong(null)),
      'view.rebuild(null)': () => reader.rebuild(wrong(null)),
      'copies.difference(null)': () => reader.copies.difference(wrong(null)),
      'copies.difference({ to })': () => reader.copies.difference(wrong({ to: 'other' })),
      'copies.difference({ limit })': () => reader.copies.difference(wrong({ limit: -1 })),
      'copies.swap(null)': () => reader.copies.swap(wrong(null)),
      'copies.rollBack(null)': () => reader.copies.rollBack(wrong(null)),
      'saga.outcome(…, null)': () => instances.outcome('k', wrong(null)),
      'saga.run(…, null)': () => instances.run('k', { id: 'a', n: 1 }, wrong(null)),
      'saga.run(…, { signal })': () => instances.run('k', { id: 'a', n: 1 }, signalled),
      'saga.list(null)': () => instances.list(wrong(null)),
      'deadLetters.list(null)': () => running.deadLetters.list(wrong(null)),
      'deadLetters.list({ handler: 5 })': () => running.deadLetters.list(wrong({ handler: 5 })),
      'deadLetters.list({ after: 5 })': () => running.deadLetters.list(wrong({ after: 5 })),
      'deadLetters.list({ limit: null })': () => running.deadLetters.list(wrong({ limit: null })),
      'deadLetters.list({ hanlder })': () => running.deadLetters.list(wrong({ hanlder: 'h' })),
      'deadLetters.discard({ handler, limit })': () => running.deadLetters.discard(wrong({ handler: 'h', limit: 1 })),
      'deadLetters.show(5)': () => running.deadLetters.show(wrong(5)),
      'engine.verify(null)': () => engine.verify(wrong(null)),
      'engine.verify({ onProgress })': () => engine.verify(wrong({ onProgress: 5 })),
      'engine.verify({ signal })': () => engine.verify(signalled),
    }
    expect(await outcomesOf(calls)).toEqual([])
    // Nothing of it was done.
    expect((await engine.events.describeStream('s'))?.version ?? 0).toBe(0)
    expect(await engine.timers.list()).toEqual([])
  })

  it('in backups, and in what is done without an app', async () => {
    using folder = temporaryFolder()
    await using engine = await memoryEngine()
    const target = folder.path('copy.db')
    const none = wrong(null)
    const calls: Readonly<Record<string, () => unknown>> = {
      'backup(…, null)': () => engine.backup(target, none),
      'backup(…, { onProgress })': () => engine.backup(target, wrong({ onProgress: 'often' })),
      'verifyFile(5)': () => verifyFile(wrong(5)),
      'verifyFile(…, null)': () => verifyFile(target, none),
      'embedded().open(null)': () => embedded({ path: ':memory:' }).open(none),
      'deployment().open(null)': () => {
        const source = embedded({ path: ':memory:' })
        return deployment({ topics: source, store: source }).open(none)
      },
      'deadLettersOf(null)': () => deadLettersOf(none, 'shop'),
      'deadLettersOf({})': () => deadLettersOf(wrong({}), 'shop'),
      'history(null)': () => history(none),
      'history.state({})': () => history(engine).state(wrong({}), 's'),
      'history.state(…, { version, time })': () => history(engine).state(taker, 's', wrong({ version: 1, time: 5 })),
      'history.projections(undefined)': () => history(engine).projections(wrong(undefined)),
      'history.projections([])': () => history(engine).projections(wrong([])),
      'history.projections({ a: 5 })': () => history(engine).projections(wrong({ a: 5 })),
      'sqliteTables(undefined)': () => sqliteTables(wrong(undefined)),
      'explain(null)': () => explain(none, engine),
      'explain(…, {})': () => explain(shop, wrong({})),
      'app(…, null)': () => app('shop', none),
      'projection(null)': () => projection(none),
      'fixed(null)': () => fixed(none),
      'exponential(null)': () => exponential(none),
      'byError(null)': () => byError(none),
      'byError([null])': () => byError(wrong([null])),
      'publish(…, null)': () => publish(Placed({ id: 'a', n: 1 }), none),
      'append(…, null)': () => append('s', none),
      'append(…, [5])': () => append('s', wrong([5])),
      'read(null)': () => Placed.read(none),
      'mermaid(null)': () => mermaid(none),
      'mermaid({})': () => mermaid(wrong({})),
      'history.view(null)': () => history(engine).view(none, 'k'),
      'history.whyView(5)': () => history(engine).whyView(wrong(5), 'k'),
      'retireView(null)': () => retireView(none, { app: 'shop', view: 'counted' }),
      'retireView(…, null)': () => retireView(engine, none),
      'retireView(…, no name)': () => retireView(engine, wrong({ app: 'shop' })),
    }
    expect(await outcomesOf(calls)).toEqual([])
    expect(folder.files()).toEqual([])
  })
})

/** Calls that do not end with an error that has a code and says what is wrong, and what they end with. */
async function outcomesOf(calls: Readonly<Record<string, () => unknown>>): Promise<string[]> {
  const found: string[] = []
  for (const [name, call] of Object.entries(calls)) {
    try {
      await call()
      found.push(`${name} went well`)
    } catch (error) {
      const isClear = error instanceof MillraceError && codes.has(error.code)
      if (!isClear) found.push(`${name}: ${String(error)}`)
    }
  }
  return found
}

const codes: ReadonlySet<string> = new Set(['ARGUMENT_INVALID', 'OPTIONS_INVALID', 'DURATION_INVALID', 'TYPE_MISMATCH'])
