import { expect, it } from 'vitest'
import { on, publish, schedule } from '../runtime/index.ts'
import { gate, memoryEngine, numbersByKey, Paid, Placed, startHandlers } from './app.test-support.ts'

it('a handler is told whether a message of its key waits behind the one it works on', async () => {
  await using engine = await memoryEngine()
  const isCalledOff = gate()
  let sawStranger = false
  const handler = on(Placed, async ({ data }, { waitsBehind }) => {
    if (data.n === 1) {
      while (!waitsBehind((message) => message.type === 'Placed' && (message.data as { n: number }).n === 2)) {
        await new Promise((resolve) => setTimeout(resolve, 1))
      }
      sawStranger = waitsBehind((message) => message.partitionkey !== 'a')
      isCalledOff.open()
      return undefined
    }
    return publish(Paid(data))
  })
  await using running = await startHandlers([handler], { engine })
  await running.publish([Placed({ id: 'a', n: 1 }), Placed({ id: 'b', n: 3 })])
  await running.publish(Placed({ id: 'a', n: 2 }))
  await isCalledOff.opened
  await running.idle()
  expect(sawStranger).toBe(false)
  expect(await numbersByKey(engine, 'payments')).toEqual({ a: [2], b: [3] })
})

it('nothing waits behind the last message of a key, nor does a timer that is due count as a message', async () => {
  await using engine = await memoryEngine()
  const seen: boolean[] = []
  const isOver = gate()
  const handler = on(
    Placed,
    {
      timers: {
        soon: (_timer, { waitsBehind }) => {
          seen.push(waitsBehind(() => true))
          return publish(Paid({ id: 'a', n: 9 }))
        },
      },
    },
    async ({ data }, { waitsBehind }) => {
      if (data.n === 1) return schedule('soon', { after: 1 })
      await isOver.opened
      seen.push(waitsBehind(() => true))
      return undefined
    },
  )
  await using running = await startHandlers([handler], { engine })
  await running.publish(Placed({ id: 'a', n: 1 }))
  await running.publish(Placed({ id: 'a', n: 2 }))
  await new Promise((resolve) => setTimeout(resolve, 30))
  isOver.open()
  while ((await numbersByKey(engine, 'payments'))['a'] === undefined) await running.idle()
  expect(seen).toEqual([false, false])
})
