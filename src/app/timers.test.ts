import { describe, expect, it } from 'vitest'
import { VirtualClock } from '../kernel/index.ts'
import { on, publish, schedule } from '../runtime/index.ts'
import { engineWith, gate, memoryEngine, messagesOf, Placed, Shipped, startHandlers } from './app.test-support.ts'
import { embeddedGround } from './app-ground.test-support.ts'
import { testTimers } from './timers-cases.test-support.ts'

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
    void looked.opened.then(() => {
      isLooked = true
    })
    while (!isLooked) await clock.advance('1s')
    fired.open()
    while ((await messagesOf(memory, 'shipments')).length === 0) await clock.advance(0)
    done.open()
    for (let turn = 0; turn < 10; turn++) await clock.advance('1s')
    expect([fireCount, await memory.timers.list()]).toEqual([1, []])
    expect(await messagesOf(memory, 'shipments')).toHaveLength(1)
  })
})
