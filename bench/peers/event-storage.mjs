// event-storage, on files. node event-storage.mjs <sync|default> <folder>
import { createRequire } from 'node:module'
import { answerTasks, checkCounts, fill, orderOf, rateOf, repeatedAppends } from './tasks.mjs'

const EventStore = createRequire(import.meta.url)('event-storage')
const [durability, folder] = process.argv.slice(2)
// As it comes each stream has a file: one for all of them is synced once for all that wait, which is some 25 times as fast.
const storageConfig = durability === 'sync' ? { syncOnFlush: true, partitioner: () => 'all' } : {}
const store = new EventStore('bench', { storageDirectory: folder, storageConfig })
await new Promise((resolve) => store.once('ready', resolve))
let rounds = 0

const eventOf = (n) => ({ type: 'OrderPlaced', ...orderOf(n) })
// Its answer comes once the events are synced, up to a tenth of a second before the index is: killed in between, it finds none of
// them when it is opened again. So whoever waits for what lasts waits for that, too, once for all that wait.
let flushing
const flushed = () => {
  flushing ??= new Promise((resolve) => {
    setImmediate(() => {
      flushing = undefined
      store.storage.flush()
      resolve()
    })
  })
  return flushing
}
const append = async (stream, events, version) => {
  await new Promise((resolve) => {
    store.commit(stream, events, version, resolve)
  })
  if (durability === 'sync') await flushed()
}

/** Appends whatever the stream's version is. */
const add = (stream, events) => append(stream, events, EventStore.ExpectedVersion.Any)

answerTasks(
  {
    async settings() {
      await add('settings', [eventOf(0)])
      const found = Object.values(store.storage.partitions).map(({ syncOnFlush }) => String(syncOnFlush))
      return { syncOnFlush: [...new Set(found)].join(' and ') }
    },
    hold: ({ count, inFlight }) => fill(count, (n, worker) => add(`held-${worker}`, [eventOf(n)]), inFlight),
    first: () => add('held-0', [eventOf(0)]).then(() => undefined),
    async prepareView({ count }) {
      for (let n = 0; n < count; n += 500) {
        const length = Math.min(500, count - n)
        await add(
          'projected',
          Array.from({ length }, (_, i) => eventOf(n + i)),
        )
      }
    },
    async project({ count }) {
      const figures = {}
      const name = `counts-${process.pid}-${rounds++}`
      // Not by getConsumer of the store: what that answers cannot set the state, which its own documentation shows.
      const consumer = new EventStore.Consumer(store.storage, 'stream-projected', name, { counts: {} })
      Object.assign(
        figures,
        await rateOf(count, () => {
          const counts = {}
          consumer.on('data', ({ payload: { customerId } }) => {
            counts[customerId] = (counts[customerId] ?? 0) + 1
            consumer.setState({ counts })
          })
          return new Promise((resolve) => consumer.once('caught-up', resolve))
        }),
      )
      consumer.stop()
      // What is in its file, not what is in memory.
      const kept = new EventStore.Consumer(store.storage, 'stream-projected', name)
      checkCounts('event-storage', count, Object.values(kept.state.counts))
      return figures
    },
    append: (settings) =>
      repeatedAppends(settings, async (worker, version = 0, n) => {
        await append(`order-${process.pid}-${worker}`, [eventOf(n)], version)
        return version + 1
      }),
    async read({ count, times }) {
      const stream = `long-${process.pid}-${rounds++}`
      for (let n = 0; n < count; n += 100) {
        await add(
          stream,
          Array.from({ length: 100 }, (_, i) => eventOf(n + i)),
        )
      }
      return await rateOf(count * times, () => {
        for (let time = 0; time < times; time++) {
          let found = 0
          for (const { orderId } of store.getEventStream(stream)) if (orderId !== undefined) found++
          if (found !== count) throw new Error(`event-storage read ${found} of ${count} events.`)
        }
      })
    },
  },
  () => store.close(),
)
