import { embedded } from '../embedded/index.ts'
import type { Assignment, Engine, EngineEnvironment, JoinOptions, Member, PublishWrite } from '../engine/index.ts'
import { SeededRandom, systemClock, uuidv7 } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { BridgedEngine } from './bridged-engine.ts'

const random = new SeededRandom(7)
const nextId = uuidv7(systemClock, random)
export const environment: EngineEnvironment = { clock: systemClock, random }

export function message(data: unknown, key?: string): Message {
  return Object.freeze({
    specversion: '1.0',
    id: nextId(),
    source: '/test',
    type: 'T',
    time: '2026-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    dataversion: 1,
    data,
    ...(key !== undefined && { partitionkey: key }),
  })
}

export function memory(): Promise<Engine> {
  return embedded({ path: ':memory:' }).open(environment)
}

/** An engine in which some calls go elsewhere; `close` may be left out. */
export function over(engine: Engine, replaced: Partial<Engine>): Engine {
  return new Proxy(engine, {
    get: (target, name) => {
      const value: unknown = Reflect.get(Object.hasOwn(replaced, name) ? replaced : target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
}

export const staysOpen: Pick<Engine, 'close'> = { close: () => Promise.resolve() }

/** Two engines that outlive what is composed of them. */
export async function grounds(): Promise<
  { topics: Engine; store: Engine; both: (with_?: Partial<Engine>) => Promise<Engine> } & AsyncDisposable
> {
  const topics = await memory()
  const store = await memory()
  return {
    topics,
    store,
    both: (replaced = {}) =>
      BridgedEngine.open(over(topics, { ...staysOpen, ...replaced }), over(store, staysOpen), environment),
    [Symbol.asyncDispose]: async () => {
      await topics.close()
      await store.close()
    },
  }
}

export async function dataOf(engine: Engine, topic: string, partition = 0): Promise<unknown[]> {
  const found: unknown[] = []
  for (let offset = 0; ; ) {
    const { records, nextOffset, latest } = await engine.topics.read({ topic, partition, offset })
    for (const record of records) found.push(record.kind === 'message' ? record.message.data : record.kind)
    offset = nextOffset
    if (offset >= latest) return found
  }
}

export async function eventually(holds: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpMs = systemClock.monotonicMs() + 10_000
  while (!(await holds())) {
    if (systemClock.monotonicMs() > giveUpMs) throw new Error('did not come about')
    await new Promise((resolve) => setTimeout(resolve, 2))
  }
}

/** Joins and waits for the one claim. */
export async function join(
  engine: Engine,
  over: Partial<JoinOptions> = {},
): Promise<{ member: Member; got: Assignment }> {
  const { promise, resolve } = Promise.withResolvers<Assignment>()
  const member = await engine.groups.join({
    group: 'g',
    topics: ['in'],
    onAssigned: ([one]) => resolve(one as Assignment),
    onRevoked: () => Promise.resolve(),
    onLost: () => undefined,
    ...over,
  })
  return { member, got: await promise }
}

export function set(
  key: string,
  value: number,
): { state: [{ kind: 'set'; namespace: string; key: string; value: number }] } {
  return { state: [{ kind: 'set', namespace: 'n', key, value }] }
}

export function publish(topic: string, ...messages: readonly Message[]): { publish: [PublishWrite] } {
  return { publish: [{ topic, messages }] }
}
