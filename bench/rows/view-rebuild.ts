import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { embedded } from '../../src/embedded/index.ts'
import { app, type View, view } from '../../src/index.ts'
import { OrderPlaced, orderMessages, partitionCount } from '../events.ts'
import { inTurn, ordersTopic, piecesOf, publishInFlight } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { alternate, rateOf } from '../statistics.ts'

const orderCount = 10_000
const batchSize = 500
/** Events of one transaction of the bare loop. */
const groupSize = 4096

const countOf = (version: number, keys: number): View<{ readonly count: number }> =>
  view('counts', {
    events: [OrderPlaced],
    key: ({ data }) => keyOf(data.orderId, keys),
    initial: { count: 0 },
    on: { OrderPlaced: (state) => ({ count: state.count + 1 }) },
    version,
  })

/** The last digits of an order, which are numbered from 0 on. */
function keyOf(orderId: string, keys: number): string {
  return orderId.slice(-Math.log10(keys))
}

/** Rows of events as JSON in a table, counted by key into another: what is left without a runtime. */
function bareLoop(path: string, texts: readonly string[], eventCount: number, keys: number): () => void {
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
        const key = keyOf(orderId, keys)
        let state = changed.get(key)
        if (state === undefined) {
          const found = get.get(key) as { readonly value: string } | undefined
          state = found === undefined ? { count: 0 } : (JSON.parse(found.value) as { count: number })
        }
        changed.set(key, { count: state.count + 1 })
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

async function figureOf(keys: number, { quick, folder }: RowSettings): Promise<Figure> {
  const eventCount = quick ? 200_000 : 1_000_000
  const messages = orderMessages(orderCount, orderCount)
  const texts = messages.map(({ data }) => JSON.stringify(data))
  const found = await alternate(quick ? 2 : 3, {
    rebuild: async (round) => {
      const path = join(folder, `view-${keys}-${round}.db`)
      {
        await using engine = await embedded({ path }).open()
        await engine.topics.create(ordersTopic, { partitions: partitionCount })
        // The version that is live has seen nothing yet.
        await (await app('bench', { views: [countOf(1, keys)] }).start({ engine })).stop()
        const commits = eventCount / batchSize
        await publishInFlight(engine, { commits, inFlight: 4 }, inTurn(piecesOf(messages, batchSize)))
      }
      // Opened anew, so that everything comes from the file.
      await using engine = await embedded({ path }).open()
      const declared = countOf(2, keys)
      const rate = await rateOf(eventCount, async () => {
        await using running = await app('bench', { views: [declared] }).start({ engine })
        await running.idle()
        const { live } = await running.view(declared).copies.status()
        if (live.version !== 2 || live.eventsDone !== eventCount) throw new Error('the view was not built anew')
      })
      rmSync(path)
      return rate
    },
    bare: async (round) => {
      const path = join(folder, `bare-${keys}-${round}.db`)
      const loop = bareLoop(path, texts, eventCount, keys)
      const rate = await rateOf(eventCount, () => loop())
      rmSync(path)
      return rate
    },
  })
  return {
    what: `events of a counting view of ${keys.toLocaleString('en')} keys`,
    value: found.rebuild,
    unit: 'events/s',
    limit: { what: 'node:sqlite: rows read, JSON.parse, counted, rows and place written', value: found.bare },
    target: { of: 'value', atLeast: 200_000 },
    notes: ['beside the live version, from start() to the swap, everything from the file'],
  }
}

async function run(settings: RowSettings): Promise<readonly Figure[]> {
  return [await figureOf(100, settings), await figureOf(10_000, settings)]
}

/** A view built anew from its topic, beside the version that is live. */
export const viewRebuild: BenchRow = { title: 'Rebuild of a counting view', run }
