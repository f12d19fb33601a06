import { z } from 'zod'
import { type App, app, service } from '../../src/app/index.ts'
import { view } from '../../src/domain/index.ts'
import { type EventDefinition, event } from '../../src/message/index.ts'
import { cancel, on, publish, remove, schedule, set, topic } from '../../src/runtime/index.ts'

interface Item {
  readonly id: string
  readonly n: number
}

const kibibyte = 1024
const soaked = topic('soaked', { partitions: 2, retentionBytes: 256 * kibibyte })
const rung = topic('rung', { partitions: 1, retentionBytes: 64 * kibibyte })
const data = z.object({ id: z.string(), n: z.number() })

/** Comes four times for each key: sets state and a timer, sets both anew, cancels the timer, removes the state and has the timer ring. */
export const Soaked: EventDefinition<'Soaked', Item, Item> = event('Soaked', { topic: soaked, data, key: (d) => d.id })
const Rung = event('Rung', { topic: rung, data, key: (d) => d.id })

/** Comes twice. */
export const Once: EventDefinition<'Once', Item, Item> = event('Once', { topic: soaked, data, key: (d) => d.id })

/** What of each key is done by which of its events. */
export const eventsOfKey = 4

const neverMs = 30 * 24 * 3_600_000

const keeping = on(
  Soaked,
  {
    name: 'keeping',
    state: { initial: 0 },
    timers: { ring: ({ key, data: n }) => publish(Rung({ id: key, n: n as number })) },
  },
  ({ data: { n } }, sum) => {
    if (n === 0) return [set(sum + 1), schedule('ring', { after: neverMs }, n)]
    if (n === 1) return [set(sum + 1), schedule('ring', { after: neverMs + 1 }, n)]
    if (n === 2) return [set(sum + 1), cancel('ring')]
    return [remove(), schedule('ring', { after: 1 }, n)]
  },
)

const once = on(Once, { name: 'once', dedupe: { window: '4s' } }, () => undefined)

const sums = view('sums', {
  events: [Soaked],
  key: (soakedEvent) => String(soakedEvent.data.n),
  initial: 0,
  on: { Soaked: (sum) => sum + 1 },
})

/** Keys come and go: of none of them anything is to stay. */
export const soakApp: App = app('soak', { services: [service('s', [keeping, once])], views: [sums] })
