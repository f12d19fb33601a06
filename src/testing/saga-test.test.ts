import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { command, event } from '../message/index.ts'
import { fixed } from '../runtime/index.ts'
import { type Step, StepRejectedError, saga, step } from '../saga/index.ts'
import { type SagaTest, sagaTest } from './index.ts'
import { anything, broken, failing, world } from './saga.test-support.ts'

const Confirmed = event('Confirmed', {
  topic: 'orders',
  data: z.object({ id: z.string(), n: z.number() }),
  key: (d) => d.id,
})

const Ship = command('Ship', { data: z.object({ id: z.string() }) })

describe('a saga', () => {
  it('undoes in reverse what was done and what may have been done, not what was refused', async () => {
    const { log, act } = world()
    const steps = { a: act('a'), b: act('b', { run: broken }), c: act('c', { run: failing }) }
    const s = saga('s', { start: anything, steps }, async (saga) => {
      await saga.step('a')
      await saga.step('b').catch(() => undefined)
      await saga.step('c')
    })
    const trial = sagaTest(s)
    await trial.start('k', null)
    expect(log).toEqual(['a', 'undo b?', 'undo a'])
    expect(trial.outcome('k')).toEqual({
      status: 'compensated',
      failure: { name: 'StepRejectedError', code: 'SAGA_STEP_REJECTED', message: expect.stringContaining('refused') },
    })
  })

  it('is told what its steps answered, nothing and null too, whenever it runs', async () => {
    const steps = { nothing: step({ run: () => undefined }), none: step({ run: () => null }) }
    const s = saga('s', { start: anything, steps }, async (saga) => {
      const answers = [await saga.step('nothing'), await saga.step('none')]
      await saga.sleep('a while', '1m')
      return answers.map((one) => (one === undefined ? 'nothing' : one))
    })
    const trial = sagaTest(s)
    await trial.start('k', null)
    await trial.advance('1m')
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: ['nothing', null] })
  })

  it('undoes a step that was refused when an earlier attempt may have had an effect', async () => {
    const { log, act } = world()
    const run = (_input: unknown, { attempt }: { readonly attempt: number }): never => {
      log.push(`attempt ${attempt}`)
      if (attempt === 1) throw new RangeError('no answer')
      throw new StepRejectedError('refused')
    }
    const steps = { charge: act('charge', { run, retry: fixed({ delay: '1m', max: 3 }) }) }
    const trial = sagaTest(saga('s', { start: anything, steps }, (saga) => saga.step('charge')))
    await trial.start('k', null)
    await trial.advance('1m')
    expect(log).toEqual(['attempt 1', 'attempt 2', 'undo charge?'])
    expect(trial.outcome('k')).toMatchObject({ status: 'compensated', failure: { code: 'SAGA_STEP_REJECTED' } })
  })

  it('tries a step again after durable pauses, with the same key, and gives up by its policy', async () => {
    const keys: string[] = []
    const flaky = step({
      run: (_input: unknown, ctx) => {
        keys.push(`${ctx.attempt} ${ctx.key}`)
        throw new RangeError('down')
      },
      retry: fixed({ delay: '10m', max: 3 }),
    })
    const s = saga('s', { start: anything, steps: { flaky } }, (saga) => saga.step('flaky'))
    const trial = sagaTest(s)
    await trial.start('k', null)
    await trial.advance('9m')
    expect(keys).toHaveLength(1)
    await trial.advance('2m')
    expect(keys).toHaveLength(2)
    await trial.advance('10m')
    expect(keys.map((key) => key.slice(2))).toEqual(Array(3).fill(keys[0]?.slice(2)))
    expect(trial.outcome('k')).toMatchObject({ status: 'compensated', failure: { code: 'SAGA_STEP_FAILED' } })
  })

  it('does not wait for a step longer than its time-out, and then does not know what it did', async () => {
    const { log, act } = world()
    const reasons: unknown[] = []
    const hangs = act('hangs', {
      run: (_input, ctx) => {
        ctx.signal.addEventListener('abort', () => reasons.push(ctx.signal.reason))
        return new Promise(() => undefined)
      },
      timeout: '5s',
    })
    const s = saga('s', { start: anything, steps: { hangs } }, (saga) => saga.step('hangs'))
    const trial = sagaTest(s)
    await trial.start('k', null)
    expect(trial.instance('k')?.status).toBe('running')
    await trial.advance('5s')
    expect(trial.instance('k')?.status).toBe('compensated')
    expect(log).toEqual(['undo hangs?'])
    expect(reasons).toMatchObject([{ code: 'SAGA_STEP_TIMEOUT' }])
  })

  it('tries to undo until it succeeds, and tells each time that it did not', async () => {
    let fails = 3
    const { log, act } = world()
    const a = act('a', {
      undo: () => {
        if (fails-- > 0) throw new RangeError('not now')
        log.push('undone')
      },
      undoRetry: fixed({ delay: '1m', max: 2 }),
    })
    const s = saga('s', { start: anything, steps: { a, b: act('b', { run: failing }) } }, async (saga) => {
      await saga.step('a')
      await saga.step('b')
    })
    const trial = sagaTest(s)
    await trial.start('k', null)
    expect(trial.instance('k')).toMatchObject({
      status: 'compensating',
      activities: [{ id: 'a', state: 'undoing', attempts: 1, error: { message: 'not now' } }, { id: 'b' }],
    })
    await trial.advance('1m')
    // Its policy has given up: it goes on all the same, every five minutes.
    await trial.advance('10m')
    expect(log).toEqual(['a', 'undone'])
    expect(trial.outcome('k')?.status).toBe('compensated')
  })

  it('sleeps, and takes signals in their order, early ones too', async () => {
    const s = saga('s', { start: anything, signals: { go: z.number(), stop: z.string() } }, async (saga) => {
      const first = await saga.signal('go')
      await saga.sleep('rest', '1h')
      const second = await saga.signal('go')
      const third = await saga.signal('go', { timeout: '15m' })
      return [first, second, third ?? 'nothing', saga.nowMs() - 1_767_225_600_000]
    })
    const trial = sagaTest(s)
    // Before the start.
    await trial.signal('k', 'go', 1)
    await trial.start('k', null)
    await trial.signal('k', 'go', 2)
    await trial.advance('59m')
    expect(trial.instance('k')).toMatchObject({ status: 'running', signalCount: 1 })
    await trial.advance('1m')
    await trial.advance('15m')
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: [1, 2, 'nothing', 75 * 60_000] })
    // A second start says nothing new, and the instance is forgotten in the end.
    await trial.start('k', null)
    expect(trial.instance('k')?.status).toBe('completed')
    await trial.advance('1d')
    expect(trial.instance('k')).toBeUndefined()
  })

  describe('that nothing has started', () => {
    const options = { start: anything, signals: { go: z.number() }, keep: '1h' } as const
    const s = saga('s', options, (saga) => saga.signal('go'))

    it('takes signals in when it is started, and gives them up when it is not', async () => {
      const trial = sagaTest(s)
      await trial.signal('k', 'go', 7)
      await trial.signal('other', 'go', 8)
      await trial.advance('59m')
      expect(trial.instance('k')).toMatchObject({ status: 'expected', signalCount: 1 })
      await trial.start('other', null)
      expect(trial.outcome('other')).toEqual({ status: 'completed', result: 8 })
      await expect(trial.advance('1m')).rejects.toMatchObject({
        code: 'SAGA_NOT_STARTED',
        details: { saga: 's', key: 'k', told: ['signal go'] },
      })
      expect(trial.instance('k')).toBeUndefined()
      await trial.advance('1h')
      expect(trial.clock.pendingTimerCount).toBe(0)
    })

    it('lets only so many signals wait, and not too large ones', async () => {
      const texts = sagaTest(saga('s', { start: anything, signals: { go: z.string() } }, (saga) => saga.signal('go')))
      await texts.signal('k', 'go', 'x'.repeat(600_000))
      await expect(texts.signal('k', 'go', 'x'.repeat(600_000))).rejects.toMatchObject({ code: 'SAGA_INBOX_FULL' })
      const trial = sagaTest(s, { replay: false })
      for (let n = 0; n < 1000; n++) await trial.signal('k', 'go', n)
      await expect(trial.signal('k', 'go', 1000)).rejects.toMatchObject({ code: 'SAGA_INBOX_FULL' })
      expect(trial.instance('k')?.signalCount).toBe(1000)
    })

    it('forgets its signals, if it shall', async () => {
      const trial = sagaTest(saga('s', { ...options, missing: 'ignore' }, () => 1))
      await trial.signal('k', 'go', 7)
      await trial.advance('1h')
      expect(trial.instance('k')).toBeUndefined()
    })

    it('cannot be told anything else, and says so', async () => {
      const trial = sagaTest(s)
      const refused = { code: 'SAGA_NOT_STARTED' }
      await expect(trial.cancel('k')).rejects.toMatchObject({ ...refused, details: { told: ['cancel'] } })
      await expect(trial.compensate('k')).rejects.toMatchObject(refused)
      await expect(trial.retry('k')).rejects.toMatchObject(refused)
      await expect(trial.skip('k', 'step')).rejects.toMatchObject(refused)
      await trial.signal('k', 'go', 7)
      await expect(trial.cancel('k')).rejects.toMatchObject(refused)
      expect(trial.instance('k')).toMatchObject({ status: 'expected', signalCount: 1 })
    })
  })

  it('is started and told by events that carry its key', async () => {
    const Placed = event('SagaPlaced', { data: z.object({ id: z.string() }), key: (d) => d.id })
    const Paid = event('SagaPaid', { data: z.object({ order: z.string(), by: z.string() }) })
    const key = (message: { data: unknown }): string => {
      const data = message.data as { id?: string; order?: string }
      return data.id ?? data.order ?? ''
    }
    const s = saga('s', { start: Placed, signals: { paid: Paid }, key }, async (saga, order) => {
      const { by } = await saga.signal('paid')
      return `${order.id} by ${by}`
    })
    const trial = sagaTest(s)
    await trial.send(Placed({ id: 'o1' }))
    await trial.send(Paid({ order: 'o1', by: 'card' }))
    expect(trial.outcome('o1')).toEqual({ status: 'completed', result: 'o1 by card' })
  })

  it('is told what the schemas make, made once', async () => {
    const Weighed = event('SagaWeighed', { data: z.object({ id: z.string(), grams: z.string().transform(Number) }) })
    const child = saga('child', { start: z.string().transform((text) => text.length) }, (_saga, length) => length + 0.5)
    const s = saga(
      's',
      {
        start: Weighed,
        signals: { go: z.string().transform((text) => ({ text })) },
        children: { child },
        key: () => 'k',
      },
      async (saga, { grams }) => [grams, await saga.signal('go'), await saga.child('child', 'four')],
    )
    for (const start of ['by hand', 'by event']) {
      const trial = sagaTest(s, { others: [child] })
      const given = { id: 'k', grams: '12' }
      await (start === 'by hand' ? trial.start('k', given) : trial.send(Weighed(given)))
      await trial.signal('k', 'go', 'now')
      expect(trial.outcome('k'), `started ${start}`).toEqual({
        status: 'completed',
        result: [12, { text: 'now' }, 4.5],
      })
    }
  })

  it('refuses data of which the schema makes what no journal keeps', async () => {
    const s = saga('s', { start: z.iso.date().transform((text) => new Date(text)) }, (_saga, date) => date.getTime())
    await expect(sagaTest(s).start('k', '2026-01-01')).rejects.toMatchObject({ code: 'SAGA_INPUT_INVALID' })
  })

  it('refuses a schema that answers with a promise', async () => {
    const s = saga('s', { start: z.string().refine(() => Promise.resolve(true)) }, () => undefined)
    await expect(sagaTest(s).start('k', 'a')).rejects.toMatchObject({ code: 'SCHEMA_ASYNC' })
  })

  it('runs steps side by side, and remembers which was first', async () => {
    const { clock } = {
      clock: { current: undefined as SagaTest<unknown, unknown, Record<never, never>>['clock'] | undefined },
    }
    const wait = (name: string, ms: number): Step<unknown, string> =>
      step({ run: () => new Promise<string>((resolve) => clock.current?.setTimer(() => resolve(name), ms)) })
    const steps = { slow: wait('slow', 2000), fast: wait('fast', 1000), last: wait('last', 10) }
    const s = saga('s', { start: anything, steps }, async (saga) => {
      const both = [saga.step('slow'), saga.step('fast')]
      const first = await Promise.race(both)
      await Promise.all(both)
      await saga.step('last')
      return first
    })
    const trial = sagaTest(s)
    clock.current = trial.clock
    await trial.start('k', null)
    await trial.advance('3s')
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: 'fast' })
  })

  it('waits for parallel steps that are still running before it undoes them', async () => {
    const { log, act } = world()
    const gate = Promise.withResolvers<string>()
    const steps = { slow: act('slow', { run: () => gate.promise }), bad: act('bad', { run: failing }) }
    const s = saga('s', { start: anything, steps }, (saga) => Promise.all([saga.step('slow'), saga.step('bad')]))
    const trial = sagaTest(s)
    await trial.start('k', null)
    expect(log).toEqual([])
    gate.resolve('done after all')
    await trial.idle()
    expect(log).toEqual(['undo slow'])
    expect(trial.instance('k')?.activities[0]).toMatchObject({ output: 'done after all', state: 'undone' })
  })

  it('is cancelled while it waits, and undoes what it did', async () => {
    const { log, act } = world()
    const s = saga('s', { start: anything, steps: { a: act('a') } }, async (saga) => {
      await saga.step('a')
      await saga.sleep('long', '30d')
    })
    const trial = sagaTest(s)
    await trial.start('k', null)
    await trial.cancel('k', 'the customer called')
    expect(log).toEqual(['a', 'undo a'])
    expect(trial.outcome('k')).toEqual({
      status: 'compensated',
      failure: { name: 'Cancelled', message: 'the customer called' },
    })
    await trial.advance('29d')
    expect(log).toHaveLength(2)
  })

  it('publishes once, with the same ids, however often its body runs', async () => {
    const { act } = world()
    const seen = new Set<string>()
    const s = saga('s', { start: anything, steps: { a: act('a'), b: act('b') } }, async (saga) => {
      await saga.step('a')
      const message = Confirmed({ id: 'o', n: saga.random() })
      seen.add(`${message.id} ${message.data.n}`)
      saga.publish(message)
      saga.show({ phase: 'published' })
      await saga.step('b')
      saga.publish(Confirmed({ id: 'o', n: 2 }))
      saga.send(Ship({ id: 'o' }))
    })
    let kills = 0
    const trial = sagaTest(s, {
      interrupt: () => (kills++ % 3 < 2 ? (['before', 'after'] as const)[kills % 2] : undefined),
    })
    await trial.start('k', null)
    await trial.idle()
    expect(trial.outcome('k')?.status).toBe('completed')
    expect(seen.size).toBe(1)
    expect(trial.sent.map(({ type, data }) => [type, data])).toEqual([['Ship', { id: 'o' }]])
    expect(trial.published.map(({ id }) => id)).toHaveLength(2)
    expect(trial.instance('k')?.shown).toEqual({ phase: 'published' })
  })
})

describe('by hand', () => {
  it('a step that is skipped counts as done, and is undone as one', async () => {
    const log: unknown[] = []
    const flaky = step({
      run: (): string => {
        log.push('charged, and no answer came')
        throw new RangeError('down')
      },
      undo: ({ output, outcome }) => void log.push([output, outcome]),
      retry: fixed({ delay: '1h', max: 9 }),
    })
    const s = saga('s', { start: anything, steps: { flaky } }, (scope) => scope.step('flaky'))
    const trial = sagaTest(s)
    await trial.start('k', null)
    await trial.skip('k', 'flaky', 'by hand')
    await trial.compensate('k')
    expect(trial.outcome('k')?.status).toBe('compensated')
    expect(log).toEqual(['charged, and no answer came', ['by hand', 'done']])
  })

  it('a step that fails is retried at once, or skipped with an output', async () => {
    let runs = 0
    const flaky = step({
      run: (): string => {
        runs++
        throw new RangeError('down')
      },
      retry: fixed({ delay: '1h', max: 9 }),
    })
    const s = saga('s', { start: anything, steps: { flaky } }, (saga) => saga.step('flaky'))
    const trial = sagaTest(s)
    await trial.start('k', null)
    await trial.retry('k')
    expect(runs).toBe(2)
    expect(trial.instance('k')?.activities).toMatchObject([
      { state: 'retrying', attempts: 2, error: { message: 'down' } },
    ])
    await trial.skip('k', 'flaky', 'by hand')
    expect(trial.outcome('k')).toEqual({ status: 'completed', result: 'by hand' })
  })

  it('what has completed is undone', async () => {
    const { log, act } = world()
    const s = saga('s', { start: anything, steps: { a: act('a'), b: act('b') } }, async (saga) => {
      await saga.step('a')
      await saga.step('b')
    })
    const trial = sagaTest(s)
    await trial.start('k', null)
    await trial.compensate('k')
    expect(log).toEqual(['a', 'b', 'undo b', 'undo a'])
    expect(trial.outcome('k')?.status).toBe('compensated')
  })
})
