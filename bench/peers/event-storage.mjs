// event-storage, on files. node event-storage.mjs <sync|default> <folder>
import { createRequire } from 'node:module'
import { answerTasks, orderOf, rateOf, repeated } from './tasks.mjs'

const EventStore = createRequire(import.meta.url)('event-storage')
const [durability, folder] = process.argv.slice(2)
const storageConfig = durability === 'sync' ? { syncOnFlush: true } : {}
const store = new EventStore('bench', { storageDirectory: folder, storageConfig })
await new Promise((resolve) => store.once('ready', resolve))
let rounds = 0

const eventOf = (n) => ({ type: 'OrderPlaced', ...orderOf(n) })
const append = (stream, events, version) =>
  new Promise((resolve) => {
    store.commit(stream, events, version, resolve)
  })

answerTasks(
  {
    async append(settings) {
      const round = rounds++
      const versions = new Map()
      return await repeated(settings, async (n, worker) => {
        const stream = `order-${process.pid}-${round}-${worker}`
        const version = versions.get(stream) ?? 0
        await append(stream, [eventOf(n)], version)
        versions.set(stream, version + 1)
      })
    },
    async read({ count, times }) {
      const stream = `long-${process.pid}-${rounds++}`
      for (let n = 0; n < count; n += 100) {
        await append(
          stream,
          Array.from({ length: 100 }, (_, i) => eventOf(n + i)),
          EventStore.ExpectedVersion.Any,
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
