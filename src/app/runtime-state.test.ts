import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { accountDecider, Deposit, Open, Opened } from '../domain/account.test-support.ts'
import { CreateInvoice, createInvoice } from '../domain/dcb-scenarios.test-support.ts'
import { type View, view } from '../domain/index.ts'
import type { EmbeddedEngine } from '../embedded/index.ts'
import { type Json, VirtualClock } from '../kernel/index.ts'
import { byError, fixed, none, on, publish, schedule, set } from '../runtime/index.ts'
import { anyOf, choreography } from '../saga/index.ts'
import { memoryEngine, Paid, Placed } from './app.test-support.ts'
import { app, service } from './index.ts'

const page = readFileSync(join(import.meta.dirname, '../../docs/formats/runtime-state.md'), 'utf8')
const startMs = 1_800_000_000_000
const key = 'a/b%\n'

/** Every key that stands in the state store, with its value, by namespace. */
async function stateOf(engine: EmbeddedEngine): Promise<Record<string, Record<string, Json>>> {
  const found: Record<string, Record<string, Json>> = {}
  for (const namespace of await engine.state.namespaces()) {
    const entries = await engine.state.range(namespace)
    found[namespace] = Object.fromEntries(entries.map((entry) => [entry.key, entry.value]))
  }
  return found
}

/** Names of all fields within a value, but for those of messages and of what handlers keep. */
function fieldsOf(value: Json | undefined): string[] {
  if (typeof value !== 'object' || value === null) return []
  if (Array.isArray(value)) return (value as readonly Json[]).flatMap(fieldsOf)
  return Object.entries(value).flatMap(([name, one]) => (name === 'message' ? [name] : [name, ...fieldsOf(one)]))
}

/** Runs an app that leaves something in each namespace. */
async function leavings(engine: EmbeddedEngine, clock: VirtualClock): Promise<void> {
  for (const topic of ['orders', 'payments']) await engine.topics.create(topic, { partitions: 1 })
  const options = {
    name: 'h',
    key: (message: { readonly partitionkey?: string | undefined }) => (message.partitionkey === 'x' ? key : 'other'),
    state: { initial: 0 },
    retry: none,
    onDeadLetter: 'park-key',
    dedupe: { window: '1h' },
    timers: { late: () => set(7), 'soon/er': () => Promise.reject(new Error('no')) },
  } as const
  const h = on(Placed, { ...options, retry: fixed({ delay: 1, max: 1 }) }, ({ data }, state) => {
    if (data.n === 1) throw new Error('bad')
    const timer = data.n === 0 ? schedule('late', { after: '1d' }, 5) : schedule('soon/er', { after: 1 })
    return [set(state + 1), publish(Paid(data)), timer]
  })
  const totals = view('totals', { events: [Paid], key: () => 'all', initial: 0, on: { Paid: (n) => n + 1 } })
  await using running = await app('test', { services: [service('s', [h])], views: [totals] }).start({ engine, clock })
  await running.publish([
    ...[0, 1, 2].map((n) => ({ ...Placed({ id: 'x', n }), id: `m${n}` })),
    { ...Placed({ id: 'y', n: 3 }), id: 'i'.repeat(300) },
  ])
  await running.idle()
  while ((await running.deadLetters.count()) < 2) await clock.advance(500)
  await running.idle()
}

describe('what the runtime keeps', () => {
  it('stands under the keys that its page tells', async () => {
    const clock = new VirtualClock(startMs)
    await using engine = await memoryEngine({ clock })
    await leavings(engine, clock)
    const state = await stateOf(engine)
    const keys = Object.fromEntries(
      Object.entries(state).map(([namespace, entries]) => [namespace, Object.keys(entries)]),
    )
    expect(keys).toEqual({
      'chain:test.s.h': ['all'],
      'chain:test.view:totals.v1': ['all'],
      'dead-letters:test': [
        'test.s.h/orders/0/0000000000000001',
        expect.stringMatching(/^test\.s\.h\/orders\/0\/timer\/soon%252Fer%2Fother\/\d+\/1800000000\d{3}$/),
      ],
      'dedupe:test.s.h:500000': [
        'm0 urn:millrace:app',
        'm1 urn:millrace:app',
        'm2 urn:millrace:app',
        expect.stringMatching(/^sha256 [0-9a-f]{64}$/),
      ],
      'parked-keys:test.s.h': [`orders/0/${key}`],
      'parked:test.s.h': ['orders/0/a%2Fb%25%0A/0000000000000000'],
      'state:test.s.h': [key, 'other'],
      'view:test.totals:v1': ['all'],
      views: ['test.totals'],
    })
    expect(state['parked-keys:test.s.h']).toEqual({
      [`orders/0/${key}`]: { head: 'test.s.h/orders/0/0000000000000001' },
    })
    const timers = await engine.timers.list()
    expect(timers.map(({ owner, id }) => [owner, id])).toEqual([['test.s.h', `late/${key}`]])
    expect(await engine.groups.list()).toEqual(['test.s.h', 'test.view:totals.v1'])
    expect((await engine.topics.list()).map(({ name }) => name)).toEqual(['orders', 'payments', 'test.dead-letters'])
    expect((await engine.topics.describe('test.dead-letters'))?.config).toMatchObject({
      partitions: 1,
      recordBytesMax: 64 * 1024 * 1024,
    })
  })

  it('has the fields that its page tells, and no others', async () => {
    const clock = new VirtualClock(startMs)
    await using engine = await memoryEngine({ clock })
    await leavings(engine, clock)
    const state = await stateOf(engine)
    const kept = ['dead-letters:test', 'parked-keys:test.s.h', 'parked:test.s.h'].map((name) => state[name] as Json)
    const entries = kept.flatMap((one) => Object.values(one as Record<string, Json>))
    const timers = (await engine.timers.list()).map(({ payload }) => payload)
    const fields = [...new Set([...entries, ...timers].flatMap(fieldsOf))].sort()
    expect(fields).toEqual(
      [
        ...['attempts', 'code', 'correlationid', 'data', 'dataBase64', 'dueMs', 'error', 'firstFailureMs', 'handler'],
        ...['head', 'id', 'key', 'kind', 'lastFailureMs', 'message', 'name', 'offset', 'origin', 'original', 'owner'],
        ...['parksKey', 'partition', 'payload', 'reason', 'requested', 'revision', 'source', 'stack', 'time'],
        ...['timer', 'timestampMs', 'topic', 'traceparent', 'tracestate', 'type'],
      ].sort(),
    )
    const told = new Set([...page.matchAll(/[`"]([a-zA-Z0-9]+)[`"]/g)].map(([, name]) => name))
    expect(fields.filter((field) => !told.has(field))).toEqual([])
    for (const namespace of Object.keys(state)) {
      const told = namespace.includes(':') ? `${namespace.slice(0, namespace.indexOf(':') + 1)}<` : `${namespace}\``
      expect(page).toContain(`| \`${told}`)
    }
  })

  it('holds the attempts at what is tried again later as its page tells', async () => {
    const clock = new VirtualClock(startMs)
    await using engine = await memoryEngine({ clock })
    await engine.topics.create('orders', { partitions: 1 })
    const again = byError([{ on: TypeError, use: fixed({ delay: '1h' }) }])
    const failing = on(Placed, { name: 'h', retry: again }, () => {
      throw new TypeError('away')
    })
    await using running = await app('test', { services: [service('s', [failing])] }).start({ engine, clock })
    await running.publish(Placed({ id: 'x', n: 0 }, { id: 'm1' }))
    while ((await engine.state.count('attempts:test.s.h')) === 0) await clock.advance(1)
    const attempts = {
      identity: 'm1 urn:millrace:app',
      policy: again.description,
      attempt: 1,
      beganMs: expect.closeTo(startMs, -3),
      firstFailureMs: expect.closeTo(startMs, -3),
      failedMs: expect.closeTo(startMs, -3),
      delayMs: 3_600_000,
      counts: { '0/': 1 },
    }
    const kept = (await stateOf(engine))['attempts:test.s.h']
    expect(kept).toEqual({ 'orders/0/0000000000000000': attempts })
    const told = new Set([...page.matchAll(/[`"]([a-zA-Z0-9]+)[`"]/g)].map(([, name]) => name))
    expect(Object.keys(attempts).filter((field) => !told.has(field))).toEqual([])
  })

  it('holds what deciders keep as its page tells', async () => {
    const clock = new VirtualClock(startMs)
    await using engine = await memoryEngine({ clock })
    const account = accountDecider({ snapshot: { everyEvents: 1 } })
    const all = view('all', {
      events: [Opened],
      key: () => 'n',
      initial: 0,
      on: { Opened: (n) => n + 1 },
      inline: true,
    })
    const bank = app('test', { services: [service('s', [account, createInvoice])], views: [all] })
    await using running = await bank.start({ engine, clock })
    const id = (one: string): { readonly id: string } => ({ id: one })
    await running.ask(Open({ id: 'a' }, id('c1')))
    await running.ask(Open({ id: 'a' }, id('c2')))
    await running.ask(CreateInvoice({ customer: 'c' }, id('c3')))
    await running.send(Deposit({ id: 'a', amount: 1 }, id('c4')), { after: '1d' })
    expect(await stateOf(engine)).toEqual({
      'commands:test.s.account:3000000': {
        'c1 urn:millrace:app': { command: 'Open', stream: 'account-a', from: 1, count: 1 },
        'c2 urn:millrace:app': { command: 'Open', rejected: ['OPEN', 'Account a is open.', null] },
      },
      ...Object.fromEntries(['account', 'create-invoice'].map((name) => [`crashes:test.s.${name}`, expect.anything()])),
      'commands:test.s.create-invoice:3000000': {
        'c3 urn:millrace:app': {
          command: 'CreateInvoice',
          events: [expect.objectContaining({ type: 'InvoiceCreated' })],
        },
      },
      'closed-epochs:test': { '0': null },
      handlers: {
        CreateInvoice: { group: 'test.s.create-invoice' },
        ...Object.fromEntries(['Open', 'Deposit', 'Withdraw'].map((type) => [type, { group: 'test.s.account' }])),
      },
      'inline-views': { test: { epoch: 1, cutting: false }, 'view:test.all:v1': { position: 0, done: true } },
      'snapshots:test.s.account:v1': {
        'account-a': { state: { isOpen: true, balance: 0 }, version: 1, timeMs: startMs },
      },
      'view:test.all:v1': { n: 1 },
      views: { 'test.all': expect.objectContaining({ previous: null, next: null }) },
    })
    const timers = (await engine.timers.list()).map(({ owner, id: timer, payload }) => [owner, timer, payload])
    expect(timers).toEqual([
      ['delayed-commands:test', 'c4 urn:millrace:app', expect.objectContaining({ type: 'Deposit' })],
    ])
    for (const told of [
      'commands:<',
      'snapshots:<',
      'closed-epochs:<',
      'inline-views',
      'delayed-commands:<',
      '<app>.replies',
    ]) {
      expect(page).toContain(`\`${told}`)
    }
  })

  it('holds what a process of a choreography is as its page tells', async () => {
    const clock = new VirtualClock(startMs)
    await using engine = await memoryEngine({ clock })
    const refused = anyOf([Paid], () => {
      throw new RangeError('no')
    })
    const paying = choreography('paying', { events: [Placed, Paid], starts: [Placed], rules: [refused], past: 2 })
    await using running = await app('test', { services: [service('s', [paying])] }).start({ engine, clock })
    const paid = Paid({ id: 'a', n: 1 }, { id: 'p', causationid: 'c', extensions: { causationtype: 'Pay' } })
    await running.publish([paid, { ...paid, id: 'q' }])
    await running.idle()
    const before = await engine.state.get('state:test.s.paying', 'a')
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.idle()
    const after = await engine.state.get('state:test.s.paying', 'a')
    const fields = [before, after].flatMap((entry) => {
      const value = entry?.value as Json
      const { happened } = (value as { readonly past: { readonly happened: string } }).past
      const lines = happened.split('\n').filter((line) => line !== '')
      return [value, ...lines.map((line) => JSON.parse(line) as Json)].flatMap(fieldsOf)
    })
    for (const field of ['held', 'past', 'sinceMs', 'undo', 'cause', 'error', 'type']) expect(fields).toContain(field)
    const own = new Set(fields)
    // Of events, types and data are those of the user; of errors, what dead letters tell, too.
    for (const given of ['Placed', 'Paid', 'n', 'name', 'message', 'code', 'remedy']) own.delete(given)
    expect([...own].filter((field) => !page.includes(`\`${field}\``))).toEqual([])
  })

  it('registers the copies of a view, and notes those that are given up, as its page tells', async () => {
    await using engine = await memoryEngine()
    const totals = (version: number): View<number> =>
      view('totals', {
        events: [Paid],
        key: () => 'all',
        initial: 0,
        on: { Paid: (n) => n + 1 },
        version,
        rebuild: 'manual',
      })
    {
      await using running = await app('test', { views: [totals(1)] }).start({ engine })
      await running.publish(Paid({ id: 'a', n: 1 }))
      await running.idle()
    }
    const notes: unknown[] = []
    const commit = engine.commit.bind(engine)
    engine.commit = (batch, options) => {
      for (const write of batch.state ?? []) if (write.namespace === 'dropped-views') notes.push(write)
      return commit(batch, options)
    }
    const second = totals(2)
    const clock = new VirtualClock(startMs)
    await using running = await app('test', { views: [second] }).start({ engine, clock })
    const copy = { build: 1, inline: false, types: ['Paid'], topics: ['payments'] }
    const live = { version: 1, ...copy }
    const pace = { swap: 'manual', eventsPerSecond: null, paused: false, problem: null, sinceMs: startMs }
    const next = { version: 2, ...copy, ...pace }
    const registered = { live, previous: null, next, canary: 0, highestVersion: 2, lastBuild: 1 }
    expect((await stateOf(engine))['views']).toEqual({ 'test.totals': registered })
    await running.view(second).copies.drop('next')
    while (notes.length < 2) await clock.advance('1m')
    const key = 'test.view:totals.v2'
    const value = { app: 'test', namespace: 'view:test.totals:v2', inline: false, sinceMs: startMs }
    expect(notes).toEqual([
      { kind: 'set', namespace: 'dropped-views', key, value },
      { kind: 'delete', namespace: 'dropped-views', key },
    ])
    expect(await engine.groups.list()).toEqual(['test.view:totals.v1'])
    for (const name of ['views', 'dropped-views', ...Object.keys({ ...registered, ...next, ...value })]) {
      expect(page).toMatch(new RegExp(`[\`"]${name}[\`"]`))
    }
  })
})
