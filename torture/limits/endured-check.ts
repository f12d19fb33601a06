import assert from 'node:assert/strict'
import type { RunningApp } from '../../src/app/index.ts'
import type { EmbeddedEngine } from '../../src/embedded/index.ts'
import type { Message } from '../../src/message/index.ts'
import { type Item, perKey, type World } from './endured-app.ts'
import type { EnduredWork } from './endured-work.ts'
import { TopicTail } from './topic-tail.ts'

type ItemMessage = Message<string, Item>

function messagesOf(engine: EmbeddedEngine, topic: string): Promise<readonly ItemMessage[]> {
  return new TopicTail(engine, topic).next()
}

/** Something of each message, in their order, by key; keys in an order of their own. */
function byKey<T>(messages: readonly ItemMessage[], pick: (message: ItemMessage) => T): Map<string, T[]> {
  const groups = [...Map.groupBy(messages, ({ data }) => data.id)].toSorted(([a], [b]) => (a < b ? -1 : 1))
  return new Map(groups.map(([key, ofKey]) => [key, ofKey.map(pick)]))
}

/** Holds what came of the work, once there is none left, against what was published. */
export async function checkEndured(
  engine: EmbeddedEngine,
  running: RunningApp,
  work: EnduredWork,
  world: World,
): Promise<void> {
  assert.deepEqual(world.early, [], 'timers rang before they were due')
  assert.equal(await running.deadLetters.count(), 0, 'there are dead letters')
  assert.deepEqual(
    (await messagesOf(engine, 'placed')).map(({ id }) => id).toSorted(),
    work.placed.map(({ id }) => id).toSorted(),
    'what was acknowledged is not there once',
  )
  const causes = [
    ['counted', work.placed],
    ['tried', work.placed],
    ['once', work.repeated],
  ] as const
  for (const [topic, published] of causes) {
    const effects = await messagesOf(engine, topic)
    const found = byKey(effects, ({ causationid }) => causationid)
    const expected = byKey(published, ({ id }) => id)
    assert.deepEqual(found, expected, `${topic}: not one effect of each message, in the order of its key`)
    // State went on with each effect.
    for (const counts of byKey(effects, ({ data }) => data.waitMs).values()) {
      assert.deepEqual(
        counts,
        counts.map((_, index) => index),
        `${topic}: state and effects do not go together`,
      )
    }
  }
  const named = [
    ['rang', work.alarms],
    ['errands-done', work.errands],
  ] as const
  for (const [topic, ids] of named) {
    const found = (await messagesOf(engine, topic)).map(({ data }) => data.id)
    assert.deepEqual(found.toSorted(), [...ids].toSorted(), `${topic}: not each of them once`)
  }
  assert.equal(world.stepKeys.size, 2 * work.errands.size, 'steps were not done under one key each')
  let viewed = 0
  for await (const { value } of running.view(perKey).list()) viewed += value
  assert.equal(viewed, work.placed.length, 'the view does not count each message once')
  assert.deepEqual((await engine.verify()).damages, [], 'verify() found damage')
}
