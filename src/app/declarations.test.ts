import { describe, expect, it } from 'vitest'
import { answer, boundary, decider, projection, view } from '../domain/index.ts'
import { command, event, query } from '../message/index.ts'
import { fixed, on, topic } from '../runtime/index.ts'
import { choreography, saga, step, timeout } from '../saga/index.ts'
import { tableView } from '../tables/index.ts'
import { Placed, problemsOf } from './app.test-support.ts'
import { app, service } from './index.ts'

/** What JavaScript callers send where the compiler would refuse it. */
const wrong = (value: unknown): never => value as never

const notAName = 'is not 1 to 100 letters, digits, "_" and "-", beginning with a letter or digit'
const notATopic = 'is no name of 1 to 249 letters, digits, ".", "_" and "-"'
const handler = on(Placed, () => undefined)
const Charge = command('Charge')
const child = saga('child', { start: Placed }, () => undefined)
const parent = saga('parent', { start: Placed, children: { child } }, () => undefined)
const counted = view('counted', { events: [Placed], key: () => 'k', initial: 0, on: { Placed: (n: number) => n + 1 } })

describe('a declaration tells all that is wrong with it in one error', () => {
  it.each<[what: string, make: () => unknown, options: readonly string[]]>([
    ['an app that is none', () => app('a b', wrong(null)), ['name', 'options']],
    ['a service', () => service('a b', [handler, handler, wrong(7)]), ['name', 'parts']],
    [
      'a topic',
      () => topic('a b', wrong({ partitions: 0, cleanup: 'burn', colour: 'red' })),
      ['name', 'colour', 'partitions', 'cleanup'],
    ],
    [
      'a view',
      () => view('a b', wrong({ events: [], key: 1, initial: { at: new Date(0) }, on: {}, onDeadLetter: 'stop' })),
      ['name', 'events', 'key', 'onDeadLetter', 'initial.at'],
    ],
    [
      'a decider',
      () => decider('a b', wrong({ commands: [Charge], events: [Placed], initialState: new Map(), snapshots: {} })),
      ['name', 'snapshots', 'stream', 'decide', 'evolve', 'initialState'],
    ],
    [
      'a boundary',
      () => boundary('a b', wrong({ command: Charge, events: [] })),
      ['name', 'events', 'reads', 'decide'],
    ],
    ['a projection', () => projection(wrong({ events: [], tags: 7, on: {} })), ['events', 'tags', 'initial']],
    ['an answer', () => answer(wrong(Charge), wrong(7)), ['query', 'run']],
    ['an event', () => event('a b', wrong({ data: 7, topic: 'a b', tags: 7 })), ['tags', 'topic', 'type', 'data']],
    ['a command', () => command('a b', wrong({ data: 7, queue: {} })), ['queue', 'type', 'data']],
    ['a query', () => query('a b', wrong({ params: 7 })), ['result', 'type', 'data']],
    [
      'a handler',
      () => on(wrong(7), wrong({ name: 'a b', state: { initial: Number.NaN }, retry: 7 }), wrong(7)),
      ['events', 'handler', 'name', 'state.initial', 'retry'],
    ],
    [
      'a saga',
      () => saga('a b', wrong({ steps: { 'c d': 7 }, keep: 'long' }), wrong(7)),
      ['name', 'start', 'steps.c d', 'steps.c d', 'body', 'keep'],
    ],
    ['a step', () => step(wrong({ undo: 7, retry: 7 })), ['run', 'undo', 'retry']],
    [
      'a choreography',
      () => choreography('a b', wrong({ events: 7, starts: 7, rules: 7, keep: 'long' })),
      ['name', 'events', 'starts', 'rules', 'keep'],
    ],
    ['a time-out', () => timeout(wrong({ after: 'soon', unless: 7 }), wrong(7)), ['since', 'unless', 'after', 'react']],
    ['a retry policy', () => fixed(wrong({ delay: 'soon', max: 0 })), ['delay', 'max']],
    [
      'a view in tables',
      () => tableView('a b', wrong({ database: 7, events: [], on: 7, version: 0 })),
      ['name', 'database', 'version', 'events', 'on'],
    ],
  ])('%s', (_what, make, options) => {
    expect(problemsOf(make).map((problem) => problem.replace(/ (is|holds|has|answers|names) .*/, ''))).toEqual(options)
  })

  it('an app, whose parts may fit together badly', () => {
    const charging = service('s', [on(Charge, () => undefined)])
    const other = service('t', [on(Charge, { name: 'again' }, () => undefined)])
    const parts = {
      services: [charging, charging, other, wrong(7)],
      views: [counted, counted],
      sagas: [parent],
      topics: wrong('orders'),
      remote: [wrong({})],
      colour: 'red',
    }
    expect(problemsOf(() => app('a b', parts))).toEqual([
      `name ${notAName}`,
      'colour is no option',
      'services holds what service() did not make',
      'remote holds what command() or query() did not make',
      'services holds two of the name "s": give one of them another',
      'views holds two of the name "counted": give one of them another',
      'sagas lacks child, a child of parent',
      'services have Charge handled by s.Charge and by s.Charge and by t.again; a command or query has one handler',
      'topics is no list',
    ])
  })

  it('a service whose parts share a name', () => {
    expect(problemsOf(() => service('s', [handler, handler]))).toEqual([
      'parts holds two of the name "Placed": give one of them another',
    ])
  })

  it('with words that say what is wanted', () => {
    expect(problemsOf(() => event('E', { topic: '..' }))).toEqual([`topic ${notATopic}`])
    expect(problemsOf(() => view('v', wrong({ events: [Placed], key: () => 'k', on: { Placed: () => 1 } })))).toEqual([
      'initial is undefined',
    ])
  })
})
