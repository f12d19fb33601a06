import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { VirtualClock } from '../kernel/index.ts'
import { command } from '../message/index.ts'
import { on, publish, schedule } from '../runtime/index.ts'
import { engineWith, gate, memoryEngine, messagesOf, Placed, Shipped, startHandlers } from './app.test-support.ts'
import { embeddedGround } from './app-ground.test-support.ts'
import type { RunningApp } from './index.ts'
import { testTimers } from './timers-cases.test-support.ts'

const Notify = command('Notify', { data: z.object({ id: z.string(), n: z.number() }), key: (d) => d.id })

describe('on the embedded engine', () => {
  testTimers(embeddedGround())
})

describe('a timer that is done while it is looked which are due', () => {
  it('is not handed to its handler again', async () => {
    const clock = new VirtualClock(0)
    await using memory = await memoryEngine({ clock })
    const [fired, done, looked] = [gate(), gate(), gate()]
    let fireCount = 0
    let lookCount = 0
    const engine = engineWith(memory, 'timers', {
      due: async (owner, nowMs, limit) => {
        const due = await memory.timers.due(owner, nowMs, limit)
        // The second look finds the timer, and its answer arrives when that is done.
        if (due.length > 0 && nowMs < Number.MAX_SAFE_INTEGER && ++lookCount === 2) {
          looked.open()
          await done.opened
        }
        return due
      },
    })
    const handler = on(
      Placed,
      {
        name: 'reminder',
        timers: {
          remind: async (timer) => {
            fireCount++
            await fired.opened
            return publish(Shipped({ id: timer.key, n: 1 }))
          },
        },
      },
      () => schedule('remind', { after: '1m' }),
    )
    await using running = await startHandlers([handler], { engine, clock })
    await running.publish(Placed({ id: 'a', n: 1 }))
    await running.idle()
    while (fireCount === 0) await clock.advance('10s')
    let isLooked = false
    const noted = looked.opened.then(() => {
      isLooked = true
    })
    while (!isLooked) await clock.advance('1s')
    await noted
    fired.open()
    while ((await messagesOf(memory, 'shipments')).length === 0) await clock.advance(0)
    done.open()
    for (let turn = 0; turn < 10; turn++) await clock.advance('1s')
    expect([fireCount, await memory.timers.list()]).toEqual([1, []])
    expect(await messagesOf(memory, 'shipments')).toHaveLength(1)
  })
})

describe('an app that is idle', () => {
  /** An engine that tells which timers are due only once it is let. */
  async function slowlyDue() {
    const clock = new VirtualClock(0)
    const memory = await memoryEngine({ clock })
    const [looked, told] = [gate(), gate()]
    const engine = engineWith(memory, 'timers', {
      due: async (owner, nowMs, limit) => {
        const due = await memory.timers.due(owner, nowMs, limit)
        if (due.length > 0) {
          looked.open()
          await told.opened
        }
        return due
      },
    })
    return { clock, memory, engine, looked, goOn: told.open }
  }

  const remind = on(
    Placed,
    { name: 'reminder', timers: { remind: (timer) => publish(Shipped({ id: timer.key, n: 1 })) } },
    () => schedule('remind', { after: '1m' }),
  )
  const notify = on(Notify, ({ data }) => publish(Shipped(data)))

  it.each([
    ['timers that are being looked for', remind, (running: RunningApp) => running.publish(Placed({ id: 'a', n: 1 }))],
    [
      'commands whose time has come',
      notify,
      (running: RunningApp) => running.send(Notify({ id: 'a', n: 1 }), { after: '1m' }),
    ],
  ])('has waited for %s', async (_what, handler, begin) => {
    const { clock, memory, engine, looked, goOn } = await slowlyDue()
    await using _memory = memory
    await using running = await startHandlers([handler], { engine, clock })
    await begin(running)
    await running.idle()
    await clock.advance('2m')
    await looked.opened
    let isIdle = false
    const idle = running.idle().then(() => {
      isIdle = true
    })
    for (let turn = 0; turn < 100; turn++) await clock.advance(10)
    expect(isIdle).toBe(false)
    goOn()
    while (!isIdle) await clock.advance(10)
    await idle
    expect(await messagesOf(memory, 'shipments')).toHaveLength(1)
  })
})
