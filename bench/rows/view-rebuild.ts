import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { embedded } from '../../src/embedded/index.ts'
import { app, view } from '../../src/index.ts'
import { OrderPlaced, orderMessages, partitionCount } from '../events.ts'
import { inTurn, ordersTopic, piecesOf, publishInFlight } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { alternate, rateOf } from '../statistics.ts'

const keyCount = 10_000
const batchSize = 500
/** Events of one transaction of the bare loop. */
const groupSize = 4096

const countOf = (version: number) =>
  view('orders-per-customer', {
    events: [OrderPlaced],
    key: (order) => order.data.orderId,
    initial: { count: 0 },
    on: { OrderPlaced: (state) => ({ count: state.count + 1 }) },
    version,
  })

/** Rows of events as JSON in a table, counted by key into another: what is left without a runtime. */
function bareLoop(path: string, texts: readonly string[], eventCount: number): () => void {
  const db = new DatabaseSync(path)
  db.exec(`PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;
    CREATE TABLE event (id INTEGER PRIMARY KEY, data TEXT NOT NULL);
    CREATE TABLE count (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
    CREATE TABLE progress (next INTEGER NOT NULL); INSERT INTO progress VALUES (0)`)
  const insert = db.prepare('INSERT INTO event (data) VALUES (?)')
  db.exec('BEGIN')
  for (let i = 0; i < eventCount; i++) insert.run(texts[i % texts.length] as string)
  db.exec('COMMIT')
  const read = db.prepare('SELECT id, data FROM event WHERE id > ? ORDER BY id LIMIT ?')
  const get = db.prepare('SELECT value FROM count WHERE key = ?')
  const set = db.prepare('INSERT INTO count VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value')
  const move = db.prepare('UPDATE progress SET next = ?')
  return () => {
    for (let next = 0; ; ) {
      const rows = read.all(next, groupSize) as unknown as readonly { readonly id: number; readonly data: string }[]
      if (rows.length === 0) break
      const changed = new Map<string, { count: number }>()
      for (const { data } of rows) {
        const { orderId } = JSON.parse(data) as { readonly orderId: string }
        let state = changed.get(orderId)
        if (state === undefined) {
          const found = get.get(orderId) as { readonly value: string } | undefined
          state = found === undefined ? { count: 0 } : (JSON.parse(found.value) as { count: number })
        }
        changed.set(orderId, { count: state.count + 1 })
      }
      next = (rows.at(-1) as { readonly id: number }).id
      db.exec('BEGIN')
      for (const [key, state] of changed) set.run(key, JSON.stringify(state))
      move.run(next)
      db.exec('COMMIT')
    }
    db.close()
  }
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const eventCount = quick ? 200_000 : 1_000_000
  const messages = orderMessages(keyCount, keyCount)
  const texts = messages.map(({ data }) => JSON.stringify(data))
  const found = await alternate(quick ? 2 : 3, {
    rebuild: async (round) => {
      const path = join(folder, `view-${round}.db`)
      {
        await using engine = await embedded({ path }).open()
        await engine.topics.create(ordersTopic, { partitions: partitionCount })
        const commits = eventCount / batchSize
        await publishInFlight(engine, { commits, inFlight: 4 }, inTurn(piecesOf(messages, batchSize)))
      }
      // Opened anew, so that everything comes from the file.
      await using engine = await embedded({ path }).open()
      return await rateOf(eventCount, async () => {
        await using running = await app('bench', { views: [countOf(1)] }).start({ engine })
        await running.idle()
      })
    },
    bare: async (round) => {
      const loop = bareLoop(join(folder, `bare-${round}.db`), texts, eventCount)
      return await rateOf(eventCount, () => loop())
    },
  })
  return [
    {
      what: 'events of a counting view',
      value: found.rebuild,
      unit: 'events/s',
      limit: { what: 'node:sqlite: rows read, JSON.parse, counted, rows and place written', value: found.bare },
      target: { of: 'value', atLeast: 200_000 },
      notes: [`${keyCount} keys, 10,000 of them new; from start() to idle(), everything from the file`],
    },
  ]
}

/** A view built anew from its topic. */
export const viewRebuild: BenchRow = { title: 'Rebuild of a counting view', run }
