// A whole app that goes through an ordeal: two starts of it share the partitions. Ends with code 0 if all of it went on, and if what came
// of it is right once everything is done. Started by limits/endured.ts: node torture/limits/app-load-process.ts <ordeal> <file>
import assert from 'node:assert/strict'
import { embedded } from '../../src/embedded/index.ts'
import { sleep, systemClock, systemRandom } from '../../src/kernel/index.ts'
import { effectTopics, enduredApp, perKey, type World } from './endured-app.ts'
import { checkEndured } from './endured-check.ts'
import { EnduredWork } from './endured-work.ts'
import { JumpingClock } from './jumping-clock.ts'
import { type Counts, goThrough, parseOrdeal } from './ordeal.ts'
import { TopicTail } from './topic-tail.ts'

const [, , ordealText = '', path = ''] = process.argv
const ordeal = parseOrdeal(ordealText)
/** Over while it is stopped; jumps of the wall are none of its business. */
const sessionTimeout = ordeal.kind === 'stop' ? '1s' : '45s'
const moreMin = 3
/** By then all has rung that is due soon, and whoever looked after it does so no more. */
const quietMs = 2500
/** Later than all that was set while the clock was an hour ahead. */
const endMs = 3 * 3_600_000

const clock = new JumpingClock()
const world: World = { early: [], stepKeys: new Set() }
await using engine = await embedded({ path }).open({ clock, random: systemRandom })
const start = () => enduredApp(clock, world).start({ engine, clock, sessionTimeout })
await using first = await start()
await using second = await start()
const work = new EnduredWork(first)
const tails = effectTopics.map((topic) => new TopicTail(engine, topic))

/** The latest round of which something was done, by the topic of what was done. */
async function counts(): Promise<Counts> {
  const rounds: Record<string, number> = { published: work.acknowledgedCount }
  for (const tail of tails) rounds[tail.topic] = await tail.latestRound()
  let viewed = 0
  for await (const { value } of first.view(perKey).list()) viewed += value
  return { ...rounds, viewed }
}

/** Only what begins from now on counts, not what was under way. */
async function targets(): Promise<Counts> {
  const next = work.round + moreMin
  const { viewed = 0 } = await counts()
  return {
    published: next,
    ...Object.fromEntries(effectTopics.map((topic) => [topic, next])),
    viewed: viewed + moreMin,
  }
}

/** Who owns which partition of which group, under which claim. */
async function claims(): Promise<readonly string[]> {
  const held: string[] = []
  for (const group of await engine.groups.list()) {
    const { members = [] } = (await engine.groups.describe(group)) ?? {}
    for (const { id, claims: own } of members) {
      held.push(...own.map(({ topic, partition, epoch }) => [group, topic, partition, id, epoch].join(' ')))
    }
  }
  return held.toSorted()
}

async function endure(): Promise<number> {
  const before = await claims()
  await goThrough(ordeal, clock, counts, targets)
  const after = await claims()
  if (ordeal.kind === 'jumps') assert.deepEqual(after, before, 'claims change because a clock jumps')
  assert.equal(after.length, before.length, 'a partition has no owner any more')
  return before.filter((claim) => !after.includes(claim)).length
}

async function finish(): Promise<void> {
  work.end()
  await loading
  await Promise.all([first.idle(), second.idle()])
  // With nothing else going on that could wake who looks after timers.
  await sleep(quietMs, systemClock)
  clock.jumpTo(endMs)
  const ends = [
    ['rang', work.alarms],
    ['errands-done', work.errands],
  ] as const
  const isDone = async (): Promise<boolean> => {
    for (const [topic, { size }] of ends) {
      const { partitions = [] } = (await engine.topics.describe(topic)) ?? {}
      if (partitions.reduce((sum, { latest }) => sum + latest, 0) < size) return false
    }
    return true
  }
  const startMs = systemClock.monotonicMs()
  // What never rings is told by the check.
  while (!(await isDone()) && systemClock.monotonicMs() - startMs < 60_000) await sleep(20, systemClock)
  await Promise.all([first.idle(), second.idle()])
}

const loading = work.run()
const failed = Promise.race([first.failed, second.failed])
const claimsMoved = await Promise.race([endure(), failed, loading.then(() => -1)])
await Promise.race([finish(), failed])
await checkEndured(engine, first, work, world)
const facts = { rounds: work.acknowledgedCount, timers: work.alarms.size, errands: work.errands.size, claimsMoved }
process.stdout.write(`done ${JSON.stringify(facts)}\n`)
