import { describe, expect, it } from 'vitest'
import type { Engine, WriteBatch } from '../engine/index.ts'
import { type Clock, ClosedError, type Json, sleep, systemClock } from '../kernel/index.ts'
import { type Handler, none, on, publish, schedule, set } from '../runtime/index.ts'
import { channels } from '../telemetry/index.ts'
import { messagesOf, Paid, Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, type RunningApp, service } from './index.ts'

/** An engine that takes no commit any more once `die` is called, as one whose process is dead. */
function mortal(engine: Engine): { readonly engine: Engine; readonly die: () => void } {
  let isDead = false
  const commit = (batch: WriteBatch): ReturnType<Engine['commit']> =>
    isDead ? Promise.reject(new ClosedError('The engine')) : engine.commit(batch)
  const proxy = new Proxy(engine, {
    get: (target, name) => {
      if (name === 'commit') return commit
      const value: unknown = Reflect.get(target, name, target)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  const die = (): void => {
    isDead = true
  }
  return { engine: proxy, die }
}

/** So many ends are needed to find a message: three that are nobody's, and four over it. */
const crashesMax = 7
const namespace = 'crashes:test.s.h'

/** Starts an app again and again, until it goes on; answers how often it has ended. */
async function endure(
  engine: Engine,
  handlersOf: (die: () => void) => readonly Handler[],
  work: (running: RunningApp, round: number, isOver: () => boolean) => Promise<unknown>,
  clock?: Clock,
): Promise<{ readonly running: RunningApp; readonly crashes: number }> {
  for (let crashes = 0; ; crashes++) {
    if (crashes > crashesMax + 3) throw new Error(`the app still ends after ${crashes} times`)
    const life = mortal(engine)
    const shop = app('test', { services: [service('s', handlersOf(life.die))] })
    // It may end before it has told that it has started.
    const running = await shop.start({ engine: life.engine, ...(clock && { clock }) }).catch(() => undefined)
    if (running === undefined) continue
    let isOver = false
    const end = (): boolean => {
      isOver = true
      return true
    }
    const ended = running.failed.then(end, end)
    const worked = work(running, crashes, () => isOver).then(
      () => isOver,
      () => ended,
    )
    if (!(await Promise.race([ended, worked]))) return { running, crashes }
    await running.stop().catch(() => undefined)
  }
}

/** Messages that end the process. */
export function testCrashLimit(ground: Pick<AppGround, 'open'>): void {
  const kept = async (engine: Engine): Promise<Json[]> =>
    (await engine.state.range(namespace)).map(({ value }) => value)

  describe('a message over which the process ends', () => {
    it('is found among others and given up, and each of the others is handled once', async () => {
      await using engine = await ground.open()
      const suspected: unknown[] = []
      const note = (report: unknown): unknown => suspected.push(report)
      channels.suspected.subscribe(note)
      const messages = Array.from({ length: 24 }, (_, n) => Placed({ id: `k${n % 6}`, n }))
      const handlersOf = (die: () => void): Handler[] => [
        on(Placed, { name: 'h', state: { initial: 0 }, retry: none }, ({ data }, state) => {
          if (data.n === 13) die()
          return [set(state + 1), publish(Paid({ id: data.id, n: data.n }))]
        }),
      ]
      const { running, crashes } = await endure(engine, handlersOf, async (started, round) => {
        if (round === 0) await started.publish(messages)
        await started.idle()
      })
      channels.suspected.unsubscribe(note)
      expect(crashes).toBe(crashesMax)
      expect(suspected[0]).toMatchObject({ handler: 'test.s.h', topic: 'orders', crashes: 3 })
      const letters = await running.deadLetters.list()
      expect(letters).toMatchObject([{ key: 'k1', attempts: 4, error: { code: 'PROCESS_ENDED' } }])
      const numbers = (await messagesOf(engine, 'payments')).map(({ data }) => data.n).sort((a, b) => a - b)
      expect(numbers).toEqual(messages.map(({ data }) => data.n).filter((n) => n !== 13))
      await running.stop()
      expect(await kept(engine)).toEqual([])
    })

    it('is given up again when it is asked for again, and ends nothing any more', async () => {
      await using engine = await ground.open()
      const handlersOf = (die: () => void): Handler[] => [
        on(Placed, { name: 'h' }, () => {
          die()
        }),
      ]
      const first = await endure(engine, handlersOf, async (started, round) => {
        if (round === 0) await started.publish(Placed({ id: 'a', n: 0 }))
        await started.idle()
      })
      await first.running.stop()
      const again = await endure(engine, handlersOf, async (started, round) => {
        if (round === 0) await started.deadLetters.redrive('all')
        await started.idle()
      })
      // One that was unknown to be an end, and four over it.
      expect(again.crashes).toBe(5)
      expect(await again.running.deadLetters.list()).toMatchObject([
        { attempts: 8, requested: null, error: { code: 'PROCESS_ENDED' } },
      ])
      await again.running.stop()
    })

    it('takes none with it that was under way beside it each time', async () => {
      await using engine = await ground.open()
      let isOver = false
      const handlersOf = (die: () => void): Handler[] => [
        on(Placed, { name: 'h' }, ({ data }) => {
          if (data.n === 1) die()
        }),
        on(Placed, { name: 'slow' }, async ({ data }) => {
          // Longer than the other one takes to end the process, as long as that is there.
          if (!isOver) await sleep(300, systemClock)
          return publish(Paid({ id: data.id, n: data.n }))
        }),
      ]
      const { running } = await endure(engine, handlersOf, async (started, round) => {
        if (round === 0) await started.publish([Placed({ id: 'a', n: 0 }), Placed({ id: 'a', n: 1 })])
        await started.idle()
      })
      isOver = true
      expect(await running.deadLetters.list()).toMatchObject([{ handler: 'test.s.h', offset: 1 }])
      expect((await messagesOf(engine, 'payments')).map(({ data }) => data.n)).toEqual([0, 1])
      await running.stop()
    })

    it('is not looked for where the process ends after progress each time', async () => {
      await using engine = await ground.open()
      const seen: number[] = []
      for (let round = 0; round < 4; round++) {
        const life = mortal(engine)
        const handler = on(Placed, { name: 'h' }, ({ data }) => void seen.push(data.n))
        const running = await app('test', { services: [service('s', [handler])] }).start({ engine: life.engine })
        await running.publish(Placed({ id: 'a', n: round }))
        await running.idle()
        expect(await kept(engine)).not.toContainEqual(expect.objectContaining({ task: expect.any(String) }))
        life.die()
        await running.stop().catch(() => undefined)
      }
      expect(seen).toEqual([0, 1, 2, 3])
    })
  })
}

/** The same for timers, where an engine has any. */
export function testCrashLimitOfTimers(ground: AppGround): void {
  it('gives up a timer over which the process ends', async () => {
    const clock = ground.clock()
    await using engine = await ground.open({ clock })
    const handlersOf = (die: () => void): Handler[] => [
      on(Placed, { name: 'h', timers: { late: () => die() } }, () => schedule('late', { after: '1m' })),
    ]
    const work = async (started: RunningApp, round: number, isOver: () => boolean): Promise<void> => {
      const isDecided = async (): Promise<boolean> => isOver() || (await started.deadLetters.count()) === 1
      if (round === 0) {
        await started.publish(Placed({ id: 'a', n: 0 }))
        await ground.pass(clock, isDecided)
      }
      // It is due already: the clock is not to run away from servers that go by their own.
      while (!(await isDecided())) {
        await clock.advance('10ms')
        await sleep(5, systemClock)
      }
    }
    const { running, crashes } = await endure(engine, handlersOf, work, clock)
    // The first end showed that there are ends.
    expect(crashes).toBe(5)
    expect(await running.deadLetters.list()).toMatchObject([{ reason: 'timer', error: { code: 'PROCESS_ENDED' } }])
    await running.stop()
  })
}
