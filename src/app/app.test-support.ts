import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import { type View, view } from '../domain/index.ts'
import { type EmbeddedEngine, embedded } from '../embedded/index.ts'
import type { Engine, WriteBatch } from '../engine/index.ts'
import { type Clock, OptionsInvalidError, systemClock } from '../kernel/index.ts'
import { type EventDefinition, event, type Message } from '../message/index.ts'
import type { Handler } from '../runtime/index.ts'
import { app, type RunningApp, type StartOptions, service } from './index.ts'

/** Data of the events of these tests. */
export interface Item {
  readonly id: string
  readonly n: number
}

const item = z.object({ id: z.string(), n: z.number() })

export const Placed: EventDefinition<'Placed', Item, Item> = event('Placed', {
  topic: 'orders',
  data: item,
  key: (d) => d.id,
})
export const Paid: EventDefinition<'Paid', Item, Item> = event('Paid', {
  topic: 'payments',
  data: item,
  key: (d) => d.id,
})
export const Shipped: EventDefinition<'Shipped', Item, Item> = event('Shipped', {
  topic: 'shipments',
  data: item,
  key: (d) => d.id,
})

/** An engine in memory. */
export function memoryEngine(
  environment?: Parameters<ReturnType<typeof embedded>['open']>[0],
): Promise<EmbeddedEngine> {
  return embedded({ path: ':memory:' }).open(environment)
}

/** All that one error finds wrong with options, each as `option problem`; empty: there is no error. */
export function problemsOf(make: () => unknown): readonly string[] {
  try {
    make()
    return []
  } catch (error) {
    if (!(error instanceof OptionsInvalidError)) throw error
    return error.details.problems.map(({ option, problem }) => `${option} ${problem}`)
  }
}

/** A folder that is gone after the test. */
export function temporaryFolder(): {
  readonly path: (name: string) => string
  /** Database files in it. */
  readonly files: () => string[]
} & Disposable {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-app-'))
  return {
    path: (name) => join(folder, name),
    files: () =>
      readdirSync(folder)
        .filter((name) => !/-(wal|shm|lock)$/.test(name))
        .map((name) => join(folder, name)),
    [Symbol.dispose]: () => rmSync(folder, { recursive: true, force: true }),
  }
}

/** Starts an app with one service of these handlers. */
export function startHandlers(handlers: readonly Handler[], options: StartOptions): Promise<RunningApp> {
  return app('test', { services: [service('s', handlers)] }).start(options)
}

/** All messages of a topic, partition by partition, each in its order. */
export async function messagesOf(engine: Engine, topic: string): Promise<Message<string, Item>[]> {
  const found: Message<string, Item>[] = []
  const description = await engine.topics.describe(topic)
  for (const { partition, earliest, latest } of description?.partitions ?? []) {
    let offset = earliest
    while (offset < latest) {
      const result = await engine.topics.read({ topic, partition, offset })
      for (const record of result.records)
        if (record.kind === 'message') found.push(record.message as Message<string, Item>)
      offset = result.nextOffset
    }
  }
  return found
}

/** Numbers of the messages of a topic by key, in their order. */
export async function numbersByKey(engine: Engine, topic: string): Promise<Record<string, number[]>> {
  const byKey: Record<string, number[]> = {}
  for (const { data } of await messagesOf(engine, topic)) {
    byKey[data.id] ??= []
    byKey[data.id]?.push(data.n)
  }
  return byKey
}

/** The engine, with other answers of some of its readers. */
export function engineWith<Name extends 'topics' | 'state' | 'groups' | 'timers'>(
  engine: Engine,
  name: Name,
  over: Partial<Engine[Name]>,
): Engine {
  const bound = <T extends object>(target: T, replaced: object): T =>
    new Proxy(target, {
      get: (_target, property) => {
        const value: unknown = Reflect.get(Object.hasOwn(replaced, property) ? replaced : target, property)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
  return bound<Engine>(engine, { [name]: bound(engine[name], over) })
}

/** The machine's clock, so much ahead: what was given up a minute ago is removed by the next start. */
export function clockAhead(aheadMs = 61_000): Clock {
  return { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs }
}

/** The machine's clock, so many times as fast: for what waits longer from attempt to attempt. */
export function clockFaster(times: number): Clock {
  const startMs = systemClock.nowMs()
  return {
    nowMs: () => startMs + Math.floor((systemClock.nowMs() - startMs) * times),
    monotonicMs: () => systemClock.monotonicMs() * times,
    setTimer: (fn, delayMs, options) => systemClock.setTimer(fn, delayMs / times, options),
  }
}

/** The engine, with a look at each commit before it is made, and at it once it is made but before that is told. */
export function withCommits(
  engine: Engine,
  before: (batch: WriteBatch) => Promise<void> | void,
  after: (batch: WriteBatch) => Promise<void> | void = () => undefined,
): Engine {
  const commit: Engine['commit'] = async (batch, options) => {
    await before(batch)
    const outcome = await engine.commit(batch, options)
    await after(batch)
    return outcome
  }
  return new Proxy<Engine>(engine, {
    get: (target, property) => {
      const value: unknown = property === 'commit' ? commit : Reflect.get(target, property)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

/** A promise that is settled from outside. */
export function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  const { promise, resolve } = Promise.withResolvers<void>()
  return { opened: promise, open: () => resolve() }
}

/** Counts what was placed, under one key; another version of it waits until it is swapped in by hand. */
export function placedCounts(version: number): View<number> {
  return view('counts', {
    events: [Placed],
    key: () => 'all',
    initial: 0,
    on: { Placed: (count) => count + 1 },
    version,
    rebuild: 'manual',
  })
}
