// Emmett, on PostgreSQL. node emmett.mjs <database URL>
import { getPostgreSQLEventStore } from '@event-driven-io/emmett-postgresql'
import { answerTasks, orderOf, rateOf, repeated } from './tasks.mjs'

const store = getPostgreSQLEventStore(process.argv[2])
let rounds = 0

const eventOf = (n) => ({ type: 'OrderPlaced', data: orderOf(n) })

answerTasks(
  {
    async append(settings) {
      const round = rounds++
      const versions = new Map()
      return await repeated(settings, async (n, worker) => {
        const stream = `order-${process.pid}-${round}-${worker}`
        const expectedStreamVersion = versions.get(stream) ?? 'STREAM_DOES_NOT_EXIST'
        const { nextExpectedStreamVersion } = await store.appendToStream(stream, [eventOf(n)], {
          expectedStreamVersion,
        })
        versions.set(stream, nextExpectedStreamVersion)
      })
    },
    async read({ count, times }) {
      const stream = `long-${process.pid}-${rounds++}`
      for (let n = 0; n < count; n += 100) {
        await store.appendToStream(
          stream,
          Array.from({ length: 100 }, (_, i) => eventOf(n + i)),
        )
      }
      return await rateOf(count * times, async () => {
        for (let time = 0; time < times; time++) {
          const { events } = await store.readStream(stream)
          if (events.length !== count) throw new Error(`Emmett read ${events.length} of ${count} events.`)
        }
      })
    },
  },
  () => store.close(),
)
