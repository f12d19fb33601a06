import { describe, expect, it } from 'vitest'
import { DiskFullError, embedded } from '../embedded/index.ts'
import type { Engine, WriteBatch } from '../engine/index.ts'
import { ClosedError, type MillraceError, sleep, systemClock } from '../kernel/index.ts'
import { fixed, type Handler, on, publish, schedule, set } from '../runtime/index.ts'
import { saga, step } from '../saga/index.ts'
import { channels, type WaitingReport } from '../telemetry/index.ts'
import {
  clockFaster,
  type Item,
  memoryEngine,
  messagesOf,
  numbersByKey,
  Paid,
  Placed,
  placedCounts,
  startHandlers,
  withCommits,
} from './app.test-support.ts'
import { app, service } from './index.ts'

/** Calls of the engine that fail for as long as they are told to. */
interface Fault {
  /** Names of what fails, as `topics.read` or `commit`. */
  readonly calls: ReadonlySet<string>
  readonly error: () => MillraceError
  isOn: boolean
  failedCount: number
}

function faultOf(calls: readonly string[], error: () => MillraceError = () => new DiskFullError('test')): Fault {
  return { calls: new Set(calls), error, isOn: false, failedCount: 0 }
}

/** The engine, but some calls fail while the fault is on. */
function failing<Part extends object>(part: Part, fault: Fault, path = ''): Part {
  return new Proxy(part, {
    get: (target, name) => {
      const value: unknown = Reflect.get(target, name, target)
      const called = `${path}${String(name)}`
      if (path === '' && ['topics', 'groups', 'state', 'timers', 'events'].includes(called)) {
        return failing(value as object, fault, `${called}.`)
      }
      if (typeof value !== 'function') return value
      return (...given: unknown[]): unknown => {
        if (!fault.isOn || !fault.calls.has(called)) return Reflect.apply(value, target, given)
        fault.failedCount++
        return Promise.reject(fault.error())
      }
    },
  })
}

const pay = on(Placed, { name: 'pay', retry: fixed({ delay: 1, max: 2 }) }, ({ data }) => publish(Paid(data)))

const counting = on(
  Placed,
  {
    name: 'counting',
    state: { initial: 0 },
    dedupe: { window: '1h' },
    timers: { later: (timer, state) => [set(state + 1), publish(Paid({ id: timer.key, n: state }))] },
    retry: fixed({ delay: 1, max: 2 }),
  },
  (_message, state) => [set(state + 1), schedule('later', { after: '1s' })],
)

/** Publishes, lets the fault last for so many refusals, and waits until all is done. */
async function outlasts(handlers: readonly Handler[], fault: Fault, refusals: number, partitions = 3): Promise<Engine> {
  const engine = await memoryEngine()
  await engine.topics.ensure('orders', { partitions })
  // What is waited for is waited for a thousandth as long.
  const running = await startHandlers(handlers, { engine: failing(engine, fault), clock: clockFaster(1000) })
  await running.publish(Placed({ id: 'before', n: 0 }))
  await running.idle()
  fault.isOn = true
  await engine.commit({ publish: [{ topic: 'orders', messages: [1, 2, 3].map((n) => Placed({ id: `k${n}`, n })) }] })
  while (fault.failedCount < refusals) await Promise.race([sleep(1, systemClock), running.failed])
  fault.isOn = false
  await running.idle()
  while ((await engine.timers.list()).length > 0) await sleep(1, systemClock)
  await running.idle()
  expect(await running.deadLetters.count()).toBe(0)
  await running.stop()
  return engine
}

describe('what an engine cannot do for a reason that passes', () => {
  it.each([
    ['commits', ['commit'], 30],
    ['reads of topics', ['topics.read'], 30],
    ['reads of state', ['state.get', 'state.getMany', 'state.range', 'state.namespaces'], 10],
    ['reads of timers', ['timers.due', 'timers.nextDueMs'], 3],
  ])('keeps a handler waiting, counts as no attempt, and makes no dead letter: %s', async (_what, calls, refusals) => {
    await using engine = await outlasts([pay, counting], faultOf(calls), refusals)
    const paid = Object.entries(await numbersByKey(engine, 'payments')).map(([key, numbers]) => [
      key,
      numbers.toSorted((a, b) => a - b),
    ])
    expect(Object.fromEntries(paid)).toEqual({ before: [0, 1], k1: [1, 1], k2: [1, 2], k3: [1, 3] })
  })

  it('go on message by message where a commit of many is always too much', async () => {
    await using engine = await memoryEngine()
    await engine.topics.ensure('orders', { partitions: 3 })
    let refusals = 0
    const slow = new Proxy<Engine>(engine, {
      get: (target, name) => {
        const value: unknown = Reflect.get(target, name, target)
        if (name !== 'commit') return typeof value === 'function' ? (value.bind(target) as unknown) : value
        return async (batch: WriteBatch) => {
          const count = (batch.progress ?? [])
            .flatMap(({ done }) => done)
            .reduce((sum, { from, to }) => sum + to - from, 0)
          if (count <= 5) return target.commit(batch)
          refusals++
          throw new DiskFullError('test')
        }
      },
    })
    const messages = Array.from({ length: 300 }, (_, n) => Placed({ id: `k${n % 7}`, n }))
    await engine.commit({ publish: [{ topic: 'orders', messages }] })
    await using running = await startHandlers([pay], { engine: slow, clock: clockFaster(1000) })
    await running.idle()
    expect(refusals).toBeGreaterThan(2)
    expect(await messagesOf(engine, 'payments')).toHaveLength(300)
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('hands no dead letter over again for the sake of what waited behind it', async () => {
    const runs: number[] = []
    let isBroken = true
    const handler = on(
      Placed,
      { name: 'h', onDeadLetter: 'park-key', retry: fixed({ delay: 1, max: 1 }) },
      ({ data: { n } }) => {
        if (n === 0 && isBroken) throw new Error('not yet')
        runs.push(n)
        return publish(Paid({ id: 'k', n }))
      },
    )
    let refusalCount = 0
    // The last one, by which nothing waits under the key any more.
    const engine = withCommits(await memoryEngine(), ({ publish = [], state = [] }) => {
      if (runs.length === 3 && publish.length + state.length === 1 && refusalCount++ < 2)
        throw new DiskFullError('test')
    })
    await using running = await startHandlers([handler], { engine, clock: clockFaster(100) })
    await running.publish([0, 1, 2].map((n) => Placed({ id: 'k', n })))
    await running.idle()
    expect(runs).toEqual([])
    isBroken = false
    await running.deadLetters.redrive('all')
    await running.idle()
    expect([runs, refusalCount]).toEqual([[0, 1, 2], 3])
    expect(await numbersByKey(engine, 'payments')).toEqual({ k: [0, 1, 2] })
  })

  it('parks no saga whose journal cannot be written, however often', async () => {
    await using engine = await memoryEngine()
    let failuresLeft = 0
    const full = withCommits(engine, ({ progress = [] }) => {
      // What is written while a handler is still at work, and nothing else.
      if (failuresLeft === 0 || progress.some(({ done }) => done.length > 0)) return
      failuresLeft--
      throw new DiskFullError('test')
    })
    const keys: string[] = []
    const act = step({
      run: ({ n }: Item, ctx) => {
        if (n === 1 && keys.length === 3) failuresLeft = 12
        keys.push(ctx.key)
        return n
      },
    })
    const three = saga(
      'three',
      { start: Placed, steps: { first: act, second: act, third: act } },
      async (scope, one) => {
        for (const [n, name] of (['first', 'second', 'third'] as const).entries()) await scope.step(name, { ...one, n })
      },
    )
    await using running = await app('test', { sagas: [three] }).start({ engine: full, clock: clockFaster(1000) })
    const places = ['a', 'b', 'c'].map((id) => Placed({ id, n: 0 }))
    await engine.commit({ publish: [{ topic: 'orders', messages: places }] })
    await running.idle()
    expect(failuresLeft).toBe(0)
    const ended = await running.saga(three).list()
    expect(ended.map(({ key, status }) => [key, status])).toEqual(['a', 'b', 'c'].map((key) => [key, 'completed']))
    // Whatever was asked for again was asked for by the same key.
    expect(new Set(keys).size).toBe(9)
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('is no attempt of a handler that asks the engine itself', async () => {
    const fault = faultOf(['state.get'])
    await using memory = await memoryEngine()
    const asked = failing(memory, fault)
    const asking = on(Placed, { name: 'asking', retry: fixed({ delay: 1, max: 2 }) }, async ({ data }) => {
      await asked.state.get('n', 'k')
      return publish(Paid(data))
    })
    await using engine = await outlasts([asking], fault, 10)
    expect(await messagesOf(engine, 'payments')).toHaveLength(4)
  })

  it('keeps a view waiting, also one that is being built', async () => {
    await using engine = await memoryEngine()
    const fault = faultOf(['topics.read', 'topics.describe', 'state.get', 'state.getMany', 'groups.describe', 'commit'])
    const source = { engine: failing(engine, fault), clock: clockFaster(1000) }
    {
      await using first = await app('shop', { views: [placedCounts(1)] }).start(source)
      await first.publish([1, 2, 3].map((n) => Placed({ id: 'a', n })))
      await first.idle()
    }
    await using running = await app('shop', { views: [placedCounts(2)] }).start(source)
    fault.isOn = true
    while (fault.failedCount < 20) await Promise.race([sleep(1, systemClock), running.failed])
    fault.isOn = false
    await running.publish(Placed({ id: 'a', n: 4 }))
    await running.idle()
    const { next } = await running.view(placedCounts(2)).copies.status()
    expect(next).toMatchObject({ copy: 'v2', eventsDone: 4, eventsBehind: 0 })
    expect(await running.deadLetters.count()).toBe(0)
  })

  it('is told on the channel `waiting`, with pauses that grow', async () => {
    const reports: WaitingReport[] = []
    const note = (report: WaitingReport): void => void reports.push(report)
    channels.waiting.subscribe(note)
    // One partition, so one who waits.
    await using _engine = await outlasts([pay], faultOf(['topics.read']), 8, 1)
    channels.waiting.unsubscribe(note)
    const delaysMs = reports.filter(({ handler }) => handler === 'test.s.pay').map(({ delayMs }) => delayMs)
    expect(delaysMs.slice(0, 8)).toEqual([250, 500, 1000, 2000, 4000, 8000, 10_000, 10_000])
    expect(reports[0]).toMatchObject({ app: 'test', error: { code: 'DISK_FULL' } })
  })

  it.each([['commit'], ['topics.read'], ['state.getMany']])(
    'does not keep an app from stopping, and the next start goes on: %s',
    async (call) => {
      await using engine = await memoryEngine()
      const fault = faultOf([call])
      const running = await startHandlers([pay, counting], { engine: failing(engine, fault), stopTimeout: '1s' })
      await running.publish(Placed({ id: 'a', n: 0 }))
      await running.idle()
      fault.isOn = true
      await engine.commit({ publish: [{ topic: 'orders', messages: [Placed({ id: 'b', n: 1 })] }] })
      while (fault.failedCount < 6) await sleep(5, systemClock)
      const startMs = systemClock.monotonicMs()
      await running.stop()
      expect(systemClock.monotonicMs() - startMs).toBeLessThan(4000)
      await using again = await startHandlers([pay], { engine })
      await again.idle()
      const paid = (await messagesOf(engine, 'payments')).map(({ data }) => data.id)
      expect(paid.filter((id) => id === 'b')).toEqual(['b'])
    },
  )

  it.each([
    ['topics.ensure', 3],
    ['groups.join', 3],
  ])('keeps a start waiting, and fails it after 30 seconds: %s', async (call, refusals) => {
    await using engine = await memoryEngine()
    const fault = faultOf([call])
    fault.isOn = true
    const reports: WaitingReport[] = []
    const note = (report: WaitingReport): void => void reports.push(report)
    channels.waiting.subscribe(note)
    // Slow enough that a busy machine has its tries within the 30 seconds.
    const options = { engine: failing(engine, fault), clock: clockFaster(30) }
    await expect(startHandlers([pay, counting], options)).rejects.toMatchObject({ code: 'DISK_FULL', fault: 'passing' })
    const delaysMs = reports.map(({ delayMs }) => delayMs)
    // How many there are depends on how long a try takes, and on timers that may fire a moment early: then the last pause is a short one.
    expect(delaysMs.slice(0, 4)).toEqual([250, 500, 1000, 2000])
    expect(delaysMs.length).toBeLessThan(12)
    channels.waiting.unsubscribe(note)

    let refusalCount = 0
    const passing = faultOf([call], () => {
      passing.isOn = ++refusalCount < refusals
      return new DiskFullError('test')
    })
    passing.isOn = true
    await using running = await startHandlers([pay, counting], { ...options, engine: failing(engine, passing) })
    expect(refusalCount).toBe(refusals)
    await running.publish(Placed({ id: 'a', n: 0 }))
    await running.idle()
    expect((await messagesOf(engine, 'payments')).length).toBeGreaterThan(0)
  })

  it('keeps the opening of an engine waiting that is started with the app', async () => {
    let openCount = 0
    const source = embedded({ path: ':memory:' })
    const open: typeof source.open = async (environment) => {
      if (++openCount < 4) throw new DiskFullError('test')
      return source.open(environment)
    }
    await using running = await startHandlers([pay], { engine: { ...source, open }, clock: clockFaster(30) })
    expect([openCount, await running.deadLetters.count()]).toEqual([4, 0])
  })

  it('does not keep a start from being called off, nor from being refused for what does not pass', async () => {
    await using engine = await memoryEngine()
    const fault = faultOf(['groups.join'])
    fault.isOn = true
    const abort = new AbortController()
    const starting = startHandlers([pay], { engine: failing(engine, fault), signal: abort.signal })
    starting.catch(() => undefined)
    while (fault.failedCount < 1) await sleep(1, systemClock)
    abort.abort(new RangeError('enough'))
    await expect(starting).rejects.toThrow('enough')
    const lasting = faultOf(['groups.join'], () => new ClosedError('The engine'))
    lasting.isOn = true
    await expect(startHandlers([pay], { engine: failing(engine, lasting) })).rejects.toMatchObject({ code: 'CLOSED' })
    expect(lasting.failedCount).toBe(1)
  })

  it('is told to who does it himself', async () => {
    await using engine = await memoryEngine()
    const fault = faultOf(['commit'])
    await using running = await startHandlers([pay], { engine: failing(engine, fault) })
    fault.isOn = true
    await expect(running.publish(Placed({ id: 'a', n: 0 }))).rejects.toMatchObject({ code: 'DISK_FULL' })
    fault.isOn = false
  })
})

describe('what an engine cannot do for a reason that lasts', () => {
  it.each([['commit'], ['topics.read']])('ends the app: %s', async (call) => {
    await using engine = await memoryEngine()
    const fault = faultOf([call], () => new ClosedError('The engine'))
    const shop = app('shop', { services: [service('s', [pay])] })
    await using running = await shop.start({ engine: failing(engine, fault) })
    fault.isOn = true
    await engine.commit({ publish: [{ topic: 'orders', messages: [Placed({ id: 'a', n: 0 })] }] })
    await expect(running.failed).rejects.toMatchObject({ code: 'CLOSED' })
  })
})
