import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { EventQuery, StoredEvent } from '../engine/index.ts'
import { type EventDefinition, event } from '../message/index.ts'
import { append, on, publish } from '../runtime/index.ts'
import { type Item, messagesOf, Paid, Placed, Shipped, startHandlers } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'

const capacity = 5

const Seated: EventDefinition<'Seated', Item, Item> = event('Seated', {
  topic: 'seats',
  data: z.object({ id: z.string(), n: z.number() }),
})

/** Decisions of handlers under a condition. */
export function testDecisions(ground: AppGround): void {
  describe('decisions of handlers under a condition', () => {
    it('never exceed what there is, although they are made side by side and by several starts', async () => {
      await using engine = await ground.open()
      await engine.topics.ensure('orders', { partitions: 4 })
      const query = (course: string): EventQuery => ({ items: [{ types: ['Seated'], tags: [`course:${course}`] }] })
      const seated = (course: string): Promise<StoredEvent[]> =>
        Array.fromAsync(engine.events.readAll({ query: query(course) }))
      let runs = 0
      const handler = on(Placed, { name: 'seat' }, async ({ data }) => {
        runs++
        const course = `c${data.n % 3}`
        const taken = await seated(course)
        if (taken.length >= capacity) return publish(Shipped(data))
        const seat = {
          message: Seated({ id: data.id, n: taken.length }),
          tags: [`course:${course}`, `student:${data.id}`],
        }
        const condition = { query: query(course), after: taken.at(-1)?.position ?? 0 }
        return [append(`student-${data.id}`, seat, { condition }), publish(Paid(data))]
      })
      await using first = await startHandlers([handler], { engine })
      await using second = await startHandlers([handler], { engine })
      await first.publish(Array.from({ length: 60 }, (_, n) => Placed({ id: `s${n}`, n })))
      await first.idle()
      await second.idle()
      for (const course of ['c0', 'c1', 'c2']) {
        const numbers = (await seated(course)).map(({ message }) => (message.data as Item).n)
        expect(numbers).toEqual(Array.from({ length: capacity }, (_, n) => n))
      }
      // What was said of each is what became real of it.
      const accepted = (await messagesOf(engine, 'payments')).map(({ data }) => data.id)
      const refused = (await messagesOf(engine, 'shipments')).map(({ data }) => data.id)
      const students = (await Array.fromAsync(engine.events.readAll())).map(({ message }) => (message.data as Item).id)
      expect(accepted.toSorted()).toEqual(students.toSorted())
      expect([...accepted, ...refused].toSorted()).toEqual(Array.from({ length: 60 }, (_, n) => `s${n}`).toSorted())
      expect(await first.deadLetters.count()).toBe(0)
      // Otherwise nobody ever met anybody.
      expect(runs).toBeGreaterThan(60)
    })
  })
}
