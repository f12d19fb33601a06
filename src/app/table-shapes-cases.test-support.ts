import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { SeededRandom, systemRandom } from '../kernel/index.ts'
import { type EventMessage, event } from '../message/index.ts'
import { type TableView, tableView } from '../tables/index.ts'
import { run, startTables, type TableTestGround, type TestTables } from './table-ground.test-support.ts'

const order = { key: ({ orderId }: { readonly orderId: string }) => orderId }
const Placed = event('ShapePlaced', {
  topic: 'shape-placed',
  data: z.object({ orderId: z.string(), customer: z.string() }),
  ...order,
})
const Paid = event('ShapePaid', {
  topic: 'shape-paid',
  data: z.object({ orderId: z.string(), pence: z.number() }),
  ...order,
})
const Shipped = event('ShapeShipped', {
  topic: 'shape-shipped',
  data: z.object({ orderId: z.string(), carrier: z.string() }),
  ...order,
})
const Forgotten = event('ShapeForgotten', {
  topic: 'shape-forgotten',
  data: z.object({ orderId: z.string() }),
  ...order,
})

/** One row for each order, made of events of four topics, in whatever order they come. Who is forgotten stays so. */
function orders({ database }: TestTables): TableView {
  const merge = (column: string): string =>
    `INSERT INTO orders_v1 (order_id, ${column}) VALUES ($1, $2)
     ON CONFLICT (order_id) DO UPDATE SET ${column} = excluded.${column}`
  return tableView('orders', {
    database,
    tables: { orders: 'orders_v1' },
    setup: [
      'CREATE TABLE IF NOT EXISTS orders_v1 (order_id TEXT PRIMARY KEY, customer TEXT, pence INTEGER, carrier TEXT)',
      'CREATE TABLE IF NOT EXISTS forgotten_v1 (order_id TEXT PRIMARY KEY)',
    ],
    events: [Placed, Paid, Shipped, Forgotten],
    on: {
      ShapePlaced: (client, { data }) => run(client, [merge('customer'), data.orderId, data.customer], sweep(data)),
      ShapePaid: (client, { data }) => run(client, [merge('pence'), data.orderId, data.pence], sweep(data)),
      ShapeShipped: (client, { data }) => run(client, [merge('carrier'), data.orderId, data.carrier], sweep(data)),
      ShapeForgotten: (client, { data }) =>
        run(client, ['INSERT INTO forgotten_v1 VALUES ($1) ON CONFLICT DO NOTHING', data.orderId], sweep(data)),
    },
  })
}

/** The statement that leaves nothing of an order that was forgotten. */
function sweep({ orderId }: { readonly orderId: string }): readonly [string, string] {
  return ['DELETE FROM orders_v1 WHERE order_id = $1 AND order_id IN (SELECT order_id FROM forgotten_v1)', orderId]
}

const Followed = event('ShapeFollowed', {
  topic: 'shape-followed',
  data: z.object({ who: z.string(), whom: z.string(), isOn: z.boolean() }),
  key: ({ who }) => who,
})

/** Views in tables that join events of several topics, and that delete rows. */
export function testTableShapes(ground: TableTestGround): void {
  describe('a view in tables of several topics', () => {
    it('joins their events into one row, and deletes it, in whatever order they come', async () => {
      await using tables = await ground.open()
      const random = new SeededRandom(systemRandom.nextUint32())
      const view = orders(tables)
      await using running = await startTables([view])
      const events: EventMessage[] = []
      const expected: unknown[] = []
      for (let n = 100; n < 300; n++) {
        const orderId = `o${n}`
        events.push(Placed({ orderId, customer: `c${n % 7}` }), Paid({ orderId, pence: n }))
        const [isShipped, isForgotten] = [n % 3 > 0, n % 5 === 0]
        if (isShipped) events.push(Shipped({ orderId, carrier: `s${n % 2}` }))
        if (isForgotten) events.push(Forgotten({ orderId }))
        else
          expected.push({ order_id: orderId, customer: `c${n % 7}`, pence: n, carrier: isShipped ? `s${n % 2}` : null })
      }
      const shuffled = events.map((one) => ({ one, at: random.nextFloat() })).sort((a, b) => a.at - b.at)
      while (shuffled.length > 0) {
        await running.publish(shuffled.splice(0, 1 + Math.floor(random.nextFloat() * 60)).map(({ one }) => one))
      }
      await running.idle()
      expect(await running.deadLetters.count(), `seed ${random.seed}`).toBe(0)
      expect(await tables.read('SELECT * FROM orders ORDER BY order_id'), `seed ${random.seed}`).toEqual(expected)
    })
  })

  describe('a view in tables that deletes', () => {
    it('holds what the last event of each key says, also after hundreds of changes', async () => {
      await using tables = await ground.open()
      const random = new SeededRandom(systemRandom.nextUint32())
      const view = tableView('follows', {
        database: tables.database,
        setup: ['CREATE TABLE IF NOT EXISTS follows (who TEXT, whom TEXT, PRIMARY KEY (who, whom))'],
        events: [Followed],
        on: {
          ShapeFollowed: (client, { data: { who, whom, isOn } }) =>
            run(client, [
              isOn
                ? 'INSERT INTO follows VALUES ($1, $2) ON CONFLICT DO NOTHING'
                : 'DELETE FROM follows WHERE who = $1 AND whom = $2',
              who,
              whom,
            ]),
        },
      })
      await using running = await startTables([view])
      const expected = new Set<string>()
      for (let batch = 0; batch < 5; batch++) {
        const changes = Array.from({ length: 100 }, () => {
          const [who, whom, isOn] = ['a', 'b', 'c'].map(() => random.nextUint32()) as [number, number, number]
          return { who: `w${who % 5}`, whom: `x${whom % 6}`, isOn: isOn % 2 === 0 }
        })
        for (const { who, whom, isOn } of changes) {
          if (isOn) expected.add(`${who} ${whom}`)
          else expected.delete(`${who} ${whom}`)
        }
        await running.publish(changes.map((change) => Followed(change)))
      }
      await running.idle()
      const rows = await tables.read('SELECT who, whom FROM follows ORDER BY who, whom')
      expect(
        rows.map(({ who, whom }) => `${String(who)} ${String(whom)}`),
        `seed ${random.seed}`,
      ).toEqual([...expected].sort())
      expect(await running.deadLetters.count()).toBe(0)
    })
  })
}
