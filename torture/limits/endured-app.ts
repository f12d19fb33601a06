import { z } from 'zod'
import { type App, app, service } from '../../src/app/index.ts'
import { type View, view } from '../../src/domain/index.ts'
import { type EventDefinition, event } from '../../src/message/index.ts'
import { cancel, fixed, on, publish, schedule, set } from '../../src/runtime/index.ts'
import { saga, step } from '../../src/saga/index.ts'
import type { JumpingClock } from './jumping-clock.ts'

/** What the messages carry: a key, the round that they belong to, and how long something waits. */
export interface Item {
  readonly id: string
  readonly round: number
  readonly waitMs: number
}

const item = z.object({ id: z.string(), round: z.number(), waitMs: z.number() })

function itemEvent<const Type extends string>(type: Type, topic: string): EventDefinition<Type, Item, Item> {
  return event(type, { topic, data: item, key: ({ id }) => id })
}

export const Placed: EventDefinition<'Placed', Item, Item> = itemEvent('Placed', 'placed')
export const Repeated: EventDefinition<'Repeated', Item, Item> = itemEvent('Repeated', 'repeated')
export const AlarmSet: EventDefinition<'AlarmSet', Item, Item> = itemEvent('AlarmSet', 'alarms')
export const AlarmCancelled: EventDefinition<'AlarmCancelled', Item, Item> = itemEvent('AlarmCancelled', 'alarms')
export const ErrandBegun: EventDefinition<'ErrandBegun', Item, Item> = itemEvent('ErrandBegun', 'errands')
const Counted = itemEvent('Counted', 'counted')
const Tried = itemEvent('Tried', 'tried')
const Once = itemEvent('Once', 'once')
const Rang = itemEvent('Rang', 'rang')
const ErrandDone = itemEvent('ErrandDone', 'errands-done')

/** Topics of what handlers, timers and sagas make. */
export const effectTopics = ['counted', 'tried', 'once', 'rang', 'errands-done'] as const

/** How many messages were counted, by key. */
export const perKey: View<number> = view('per-key', {
  events: [Counted],
  key: ({ data }) => data.id,
  initial: 0,
  on: { Counted: (count) => count + 1 },
})

/** What the world outside of the engine saw. */
export interface World {
  /** Timers that rang before they were due. */
  readonly early: string[]
  /** Keys under which steps were done. */
  readonly stepKeys: Set<string>
}

/** An app of all that takes time: state, further attempts, deduplication, timers, sagas that sleep, a view. */
export function enduredApp(clock: JumpingClock, world: World): App {
  const counting = on(Placed, { name: 'counting', state: { initial: 0 }, early: true }, ({ data }, count) => [
    set(count + 1),
    publish(Counted({ ...data, waitMs: count })),
  ])
  const trying = on(
    Placed,
    { name: 'trying', state: { initial: 0 }, retry: fixed({ delay: 20, max: 5 }) },
    async ({ data }, count, { attempt }) => {
      await new Promise((resolve) => setImmediate(resolve))
      if (data.round % 3 === 0 && attempt === 1) throw new Error('not at the first go')
      return [set(count + 1), publish(Tried({ ...data, waitMs: count }))]
    },
  )
  // Longer than the clock jumps.
  const dedupe = { window: '6h' } as const
  const once = on(Repeated, { name: 'once', state: { initial: 0 }, dedupe }, ({ data }, count) => [
    set(count + 1),
    publish(Once({ ...data, waitMs: count })),
  ])
  const ring = ({ key, dueMs, data }: { readonly key: string; readonly dueMs: number; readonly data: unknown }) => {
    if (dueMs > clock.latestMs) world.early.push(`${key}, ${dueMs - clock.latestMs} ms`)
    return publish(Rang({ id: key, round: data as number, waitMs: 0 }))
  }
  const alarms = on([AlarmSet, AlarmCancelled], { name: 'alarms', timers: { ring } }, ({ type, data }) =>
    type === 'AlarmSet' ? schedule('ring', { after: data.waitMs }, data.round) : cancel('ring'),
  )
  const note = step({ run: (_where: string, { key }) => void world.stepKeys.add(key) })
  const errand = saga('errand', { start: ErrandBegun, steps: { note } }, async (errands, { id, round, waitMs }) => {
    await errands.step('note', 'there', { id: 'there' })
    await errands.sleep('stay', waitMs)
    await errands.step('note', 'back', { id: 'back' })
    errands.publish(ErrandDone({ id, round, waitMs: 0 }))
  })
  const handlers = [counting, trying, once, alarms]
  return app('endured', { services: [service('s', handlers)], views: [perKey], sagas: [errand] })
}
