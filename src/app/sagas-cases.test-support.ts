import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { fixed, none } from '../runtime/index.ts'
import { SagaDesk, type Step, StepRejectedError, saga, step } from '../saga/index.ts'
import { channels, type SagaReport, type UndoFailedReport } from '../telemetry/index.ts'
import { gate, messagesOf, numbersByKey, Paid, Placed, Shipped } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app } from './index.ts'

const order = z.object({ id: z.string(), n: z.number() })

/** A saga of two steps and a signal, started by an event, and what it did outside. */
function shopping(options: { readonly decline?: boolean } = {}) {
  const log: string[] = []
  const act = (name: string, decline = false): Step<{ readonly id: string; readonly n: number }, number> =>
    step({
      run: ({ id, n }) => {
        if (decline) throw new StepRejectedError('declined')
        log.push(`${name} ${id}`)
        return n + 1
      },
      undo: ({ input }) => void log.push(`undo ${name} ${input.id}`),
      retry: none,
    })
  const steps = { reserve: act('reserve'), charge: act('charge', options.decline) }
  const checkout = saga(
    'checkout',
    { start: Placed, steps, signals: { paid: Paid, hurry: z.number() } },
    async (saga, { id, n }) => {
      const reserved = await saga.step('reserve', { id, n })
      const paid = await saga.signal('paid', { timeout: '15m' })
      if (paid === undefined) throw new StepRejectedError('nobody paid')
      const charged = await saga.step('charge', { id, n: reserved + paid.n })
      saga.publish(Shipped({ id, n: charged }))
      return charged
    },
  )
  return { log, checkout, shop: app('shop', { sagas: [checkout] }) }
}

/** Sagas of a running app. */
export function testSagas(ground: AppGround): void {
  describe('a saga of a running app', () => {
    it('is started and told by events, publishes, and is found', async () => {
      const { log, checkout, shop } = shopping()
      await using engine = await ground.open()
      await using running = await shop.start({ engine })
      const changes: SagaReport[] = []
      const listen = (report: SagaReport): number => changes.push(report)
      channels.saga.subscribe(listen)
      await running.publish([Placed({ id: 'a', n: 1 }), Placed({ id: 'b', n: 10 })])
      await running.idle()
      expect(await running.saga(checkout).list({ status: 'running' })).toHaveLength(2)
      await running.publish(Paid({ id: 'a', n: 5 }))
      expect(await running.saga(checkout).outcome('a')).toEqual({ status: 'completed', result: 8 })
      await running.idle()
      channels.saga.unsubscribe(listen)
      expect(log).toEqual(['reserve a', 'reserve b', 'charge a'])
      expect((await messagesOf(engine, 'shipments')).map(({ data }) => data)).toEqual([{ id: 'a', n: 8 }])
      expect(changes.map(({ key, before, status }) => `${key} ${before} ${status}`)).toEqual([
        'a null running',
        'b null running',
        'a running completed',
      ])
      const { startedMs } = (await running.saga(checkout).get('a')) ?? { startedMs: 0 }
      const keys = async (selection: Parameters<ReturnType<typeof running.saga>['list']>[0]): Promise<string[]> =>
        (await running.saga(checkout).list(selection)).map(({ key }) => key)
      expect(await keys({ status: ['running', 'parked'] })).toEqual(['b'])
      expect(await keys({ prefix: 'a' })).toEqual(['a'])
      expect(await keys({ startedToMs: startedMs })).toEqual([])
      expect(await keys({ startedFromMs: startedMs, limit: 1 })).toEqual(['a'])
      expect(await keys({ after: 'a' })).toEqual(['b'])
    })

    it('is started once by a start that comes twice, and told twice by such a signal', async () => {
      const twice = saga('twice', { start: Placed, steps: {}, signals: { paid: Paid } }, async (saga, { n }) => {
        const [first, second] = [await saga.signal('paid'), await saga.signal('paid')]
        return [n, first.n, second.n]
      })
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [twice] }).start({ engine })
      const [placed, paid] = [Placed({ id: 'a', n: 1 }), Paid({ id: 'a', n: 5 })]
      await running.publish([placed, placed])
      await running.publish([paid, paid])
      expect(await running.saga(twice).outcome('a')).toMatchObject({ status: 'completed', result: [1, 5, 5] })
      await running.publish(placed)
      await running.idle()
      expect(await running.saga(twice).outcome('a')).toMatchObject({ status: 'completed', result: [1, 5, 5] })
      expect(await running.deadLetters.count()).toBe(0)
    })

    it('goes on after a restart: sleeps, time-outs and compensation', async () => {
      const source = ground.source()
      const clock = ground.clock()
      const { log, checkout, shop } = shopping()
      {
        await using running = await shop.start({ engine: source, clock })
        await running.saga(checkout).start('a', { id: 'a', n: 1 })
        await running.idle()
      }
      await clock.advance('1h')
      await using engine = await source.open({ clock })
      await using running = await shop.start({ engine, clock })
      const ended = running.saga(checkout).outcome('a')
      await ground.pass(clock, async () => (await running.saga(checkout).get('a'))?.status !== 'running')
      expect(await ended).toMatchObject({ status: 'compensated', failure: { code: 'SAGA_STEP_REJECTED' } })
      expect(log).toEqual(['reserve a', 'undo reserve a'])
      // It is kept for a day, then forgotten with its timer.
      await clock.advance('1d')
      await ground.pass(clock, async () => (await running.saga(checkout).get('a')) === undefined)
      await running.idle()
      expect(await engine.timers.list()).toEqual([])
    })

    it('is told what the schemas make, made once', async () => {
      const s = saga(
        's',
        { start: z.string().transform(Number), signals: { go: z.string().transform((text) => [text]) } },
        async (saga, n) => [n, await saga.signal('go')],
      )
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [s] }).start({ engine })
      const client = running.saga(s)
      await client.start('a', '12')
      await client.signal('a', 'go', 'now')
      expect(await client.outcome('a')).toEqual({ status: 'completed', result: [12, ['now']] })
    })

    it('has no key under which nothing can be kept, and neither has a child', async () => {
      const child = saga('child', { start: z.null(), steps: {} }, async () => 1)
      const parent = saga(
        'parent',
        { start: z.object({ key: z.string() }), steps: {}, children: { child } },
        (one, { key }) => one.child('child', null, { key }),
      )
      await using engine = await ground.open()
      await using running = await app('family', { sagas: [parent, child] }).start({ engine })
      const sagas = running.saga(parent)
      for (const key of ['k'.repeat(701), '', undefined as unknown as string]) {
        await expect(sagas.run(key, { key: 'child' })).rejects.toMatchObject({ code: 'ARGUMENT_INVALID' })
      }
      expect(await sagas.run('right', { key: 'child' })).toEqual({ status: 'completed', result: 1 })
      const wrong = await sagas.run('wrong', { key: 'k'.repeat(701) })
      expect([wrong.status, JSON.stringify(wrong)]).toEqual(['compensated', expect.stringContaining('700 bytes')])
      expect(await running.deadLetters.list()).toEqual([])
    })

    it('is cancelled between two steps, though its body never waits', async () => {
      const log: number[] = []
      const begun = gate()
      const tick = step({
        run: async (n: number) => {
          await new Promise((resolve) => setTimeout(resolve, 1))
          log.push(n)
          if (n === 10) begun.open()
        },
        undo: ({ input }) => void log.push(-input),
      })
      const ticking = saga('ticking', { start: z.null(), steps: { tick } }, async (saga) => {
        for (let n = 1; n <= 500; n++) await saga.step('tick', n, { id: `${n}` })
      })
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [ticking] }).start({ engine })
      const client = running.saga(ticking)
      await client.start('k', null)
      await begun.opened
      await client.cancel('k', 'the customer called')
      const failure = { name: 'Cancelled', message: 'the customer called' }
      expect(await client.outcome('k')).toMatchObject({ status: 'compensated', failure })
      const doneCount = log.filter((n) => n > 0).length
      const done = Array.from({ length: doneCount }, (_, n) => n + 1)
      expect(doneCount).toBeLessThan(500)
      expect(log).toEqual([...done, ...done.toReversed().map((n) => -n)])
      await running.idle()
      expect(await running.deadLetters.count()).toBe(0)
    })

    it('publishes to one key in its order, within one commit and over several', async () => {
      const n = step({ run: (value: number) => value, undo: () => undefined })
      const telling = saga('telling', { start: z.string(), steps: { n } }, async (saga, id) => {
        for (let round = 0; round < 5; round++) {
          for (let i = 0; i < 3; i++) saga.publish(Shipped({ id, n: round * 10 + i }))
          await saga.step('n', round, { id: `${round}` })
          saga.publish([Shipped({ id, n: round * 10 + 3 }), Shipped({ id, n: round * 10 + 4 })])
        }
      })
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [telling] }).start({ engine })
      const ids = Array.from({ length: 30 }, (_, i) => `k${i}`)
      await Promise.all(ids.map((id) => running.saga(telling).run(id, id)))
      await running.idle()
      const wanted = [0, 1, 2, 3, 4].flatMap((round) => [0, 1, 2, 3, 4].map((i) => round * 10 + i))
      expect(await numbersByKey(engine, 'shipments')).toEqual(Object.fromEntries(ids.map((id) => [id, wanted])))
    })

    it('refuses what it was not declared with, here and where it comes in', async () => {
      const { checkout, shop } = shopping()
      await using engine = await ground.open()
      await using running = await shop.start({ engine })
      const client = running.saga(checkout)
      await expect(client.start('a', { id: 7 } as never)).rejects.toMatchObject({ code: 'SAGA_INPUT_INVALID' })
      await expect(client.signal('a', 'slow' as never, 1 as never)).rejects.toMatchObject({
        code: 'SAGA_INPUT_INVALID',
      })
      // What another program sends is checked where it is used, and tried once.
      await new SagaDesk(engine, 'shop', 'checkout').tell('a', { kind: 'signal', name: 'hurry', data: 'soon' })
      await running.idle()
      const [letter] = await running.deadLetters.list()
      expect(letter).toMatchObject({ key: 'a', attempts: 1, error: { code: 'SAGA_INPUT_INVALID' } })
      await client.cancel('nobody')
      await running.idle()
      expect((await running.deadLetters.list()).find(({ key }) => key === 'nobody')).toMatchObject({
        attempts: 1,
        error: { code: 'SAGA_NOT_STARTED' },
      })
      const other = saga('other', { start: order }, () => 1)
      expect(() => running.saga(other)).toThrow(expect.objectContaining({ code: 'SAGA_UNKNOWN' }))
      expect(() => app('shop', { sagas: [saga('parent', { start: order, children: { other } }, () => 1)] })).toThrow(
        'lacks other, a child of parent',
      )
    })

    it('parks an instance whose outcome cannot be stored, and no other', async () => {
      const big = step({ run: (n: number) => 'x'.repeat(n) })
      const filling = saga('filling', { start: z.number(), steps: { big } }, async (saga, n) => {
        const text = await saga.step('big', n)
        // More than a record takes.
        saga.publish(Shipped({ id: text, n: 1 }))
        await saga.step('big', 1, { id: 'again' })
        return text.length
      })
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [filling] }).start({ engine })
      const all = [10, 3_000_000, 20].map((n) => running.saga(filling).run(`k${n}`, n))
      expect((await Promise.all(all)).map(({ status }) => status)).toEqual(['completed', 'parked', 'completed'])
      expect(await running.saga(filling).get('k3000000')).toMatchObject({ parked: { reason: 'not-stored' } })
      expect(await running.deadLetters.count()).toBe(0)
    })

    it('parks an instance whose last commit is refused, and no other', async () => {
      const ending = saga('ending', { start: z.number() }, (saga, n) => {
        saga.publish(Shipped({ id: 'x'.repeat(n), n: 1 }))
        return n
      })
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [ending] }).start({ engine })
      const all = [10, 3_000_000, 20].map((n) => running.saga(ending).run(`k${n}`, n))
      expect((await Promise.all(all)).map(({ status }) => status)).toEqual(['completed', 'parked', 'completed'])
      expect(await running.saga(ending).get('k3000000')).toMatchObject({ parked: { reason: 'not-stored' } })
      await running.idle()
      expect(await running.deadLetters.count()).toBe(0)
      expect((await messagesOf(engine, 'shipments')).length).toBe(2)
    })

    it('shares commits with the others that are at work', async () => {
      const act = step({ run: (n: number) => n, undo: () => undefined })
      const two = saga('two', { start: z.number(), steps: { act } }, async (saga, n) => {
        await saga.step('act', n, { id: '1' })
        return await saga.step('act', n, { id: '2' })
      })
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [two] }).start({ engine })
      let commits = 0
      const count = ({ handler }: { readonly handler: string }): void => {
        if (handler === 'shop.saga:two') commits++
      }
      channels.committed.subscribe(count)
      const instances = 500
      await Promise.all(Array.from({ length: instances }, (_, n) => running.saga(two).run(`k${n}`, n)))
      channels.committed.unsubscribe(count)
      // Each needs three commits of its journal: before the first step, between the two, and at the end.
      expect(commits).toBeLessThan(instances)
    })

    it('waits for a retry without holding anything up', async () => {
      let isDown = true
      const flaky = step({
        run: (n: number) => {
          if (n === 0 && isDown) throw new RangeError('down')
          return n
        },
        retry: fixed({ delay: 50, max: 1000 }),
      })
      const s = saga('s', { start: z.number(), steps: { flaky } }, (saga, n) => saga.step('flaky', n))
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [s] }).start({ engine })
      const stuck = running.saga(s).run('stuck', 0)
      expect(await running.saga(s).run('free', 1)).toEqual({ status: 'completed', result: 1 })
      isDown = false
      expect(await stuck).toEqual({ status: 'completed', result: 0 })
    })

    it('tells when something cannot be undone, until it can', async () => {
      const reports: UndoFailedReport[] = []
      const listen = (report: UndoFailedReport): number => reports.push(report)
      channels.undoFailed.subscribe(listen)
      let failures = 2
      const sticky = step({
        run: () => 'done',
        undo: () => {
          if (failures-- > 0) throw new RangeError('not yet')
        },
        undoRetry: fixed({ delay: 5, max: 9 }),
      })
      const s = saga('s', { start: z.null(), steps: { sticky } }, async (saga) => {
        await saga.step('sticky')
        throw new RangeError('no')
      })
      await using engine = await ground.open()
      await using running = await app('shop', { sagas: [s] }).start({ engine })
      expect(await running.saga(s).run('k', null)).toMatchObject({ status: 'compensated' })
      channels.undoFailed.unsubscribe(listen)
      expect(reports).toMatchObject([
        { handler: 'shop.saga:s', key: 'k', step: 'sticky', attempt: 1, delayMs: 5, error: { message: 'not yet' } },
        { attempt: 2 },
      ])
    })
  })
}
