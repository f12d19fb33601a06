import assert from 'node:assert/strict'
import { setImmediate } from 'node:timers/promises'
import { sleep, systemClock, systemRandom, uuidv7, type VirtualClock } from '../../kernel/index.ts'
import { type Message, sealed } from '../../message/index.ts'
import type { RecordOutcome } from '../../record/index.ts'
import type { Kept } from '../capabilities.ts'
import type { Engine } from '../engine.ts'
import type { StoredEvent } from '../events.ts'
import type { TopicConfig } from '../topics.ts'
import type { CommitOutcome, Conflict, PublishWrite, TopicPosition, WriteBatch } from '../write-batch.ts'
import type { Ground } from './ground.ts'

/** What a commit that went through answered. */
export type Committed = Extract<CommitOutcome, { ok: true }>

const nextId = uuidv7(systemClock, systemRandom)

/** How long `eventually` waits before it gives up, in milliseconds. Only a failing case ever waits that long. */
const patienceMs = 45_000

/** Looks cost the engine something too: after some that were in vain they are this far apart, in milliseconds. */
const lookEveryMsMost = 50

/** What a case works with: an open engine, names that nobody else uses, and short ways to say what must hold. */
export class Fixture {
  readonly #ground: Ground
  #engine: Engine

  private constructor(ground: Ground, engine: Engine) {
    this.#ground = ground
    this.#engine = engine
  }

  static async open(ground: Ground): Promise<Fixture> {
    return new Fixture(ground, await ground.open())
  }

  get engine(): Engine {
    return this.#engine
  }

  /** For cases that require `movableTime` only. */
  get clock(): VirtualClock {
    const { clock } = this.#ground
    assert.ok(clock, 'the case must require movableTime')
    return clock
  }

  /** What {@link choosing} chooses by, if that is given. */
  get seed(): number | undefined {
    return this.#ground.seed
  }

  /** Now, by the engine's clock. */
  nowMs(): number {
    return (this.#ground.clock ?? systemClock).nowMs()
  }

  /** Closes the engine and opens it again on the same ground. */
  async reopen(): Promise<Engine> {
    await this.#engine.close()
    this.#engine = await this.#ground.open()
    return this.#engine
  }

  /** Ends the case. */
  async close(): Promise<void> {
    if (this.#ground.release === undefined) await this.#engine.close()
    else await this.#ground.release(this.#engine)
  }

  /** A name that nothing else on this ground has. */
  name(label = 'it'): string {
    return `${label}-${nextId()}`
  }

  /** A new topic. One partition unless the case says otherwise, so that order is total. */
  async topic(config: TopicConfig = {}): Promise<string> {
    const name = this.name('topic')
    await this.#engine.topics.create(name, { partitions: 1, ...config })
    return name
  }

  /** A message put together by hand, so that engines look at it before they keep it. The id is new unless given. */
  message(type: string, data: unknown = {}, attributes: Partial<Message> = {}): Message {
    return Object.freeze({
      specversion: '1.0',
      id: nextId(),
      source: '/conformance',
      type,
      time: '2026-01-01T00:00:00.000Z',
      datacontenttype: 'application/json',
      dataversion: 1,
      data,
      ...attributes,
    } as Message)
  }

  /** `count` messages as definitions make them, for which they vouch. Their data is their number, from `first`. */
  numbered(count: number, first = 0, attributes: Partial<Message> = {}): Message[] {
    return Array.from({ length: count }, (_, index) =>
      sealed({ ...this.message('Numbered', first + index, attributes) }),
    )
  }

  /** Commits a batch that must go through. */
  async commit(batch: WriteBatch): Promise<Committed> {
    const outcome = await this.#engine.commit(batch)
    if (!outcome.ok) assert.fail(`the commit met a conflict: ${JSON.stringify(outcome.conflict)}`)
    return outcome
  }

  /** Commits a batch that must meet a conflict of this kind. */
  async conflict<Kind extends Conflict['kind']>(
    batch: WriteBatch,
    kind: Kind,
  ): Promise<Extract<Conflict, { kind: Kind }>> {
    const outcome = await this.#engine.commit(batch)
    if (outcome.ok) assert.fail(`the commit went through where a conflict "${kind}" was due`)
    assert.equal(outcome.conflict.kind, kind)
    return outcome.conflict as Extract<Conflict, { kind: Kind }>
  }

  async publish(
    topic: string,
    messages: readonly Message[],
    rest: Partial<PublishWrite> = {},
  ): Promise<readonly TopicPosition[]> {
    return (await this.commit({ publish: [{ topic, messages, ...rest }] })).published
  }

  /** Appends one event for each type. */
  async append(stream: string, ...types: readonly string[]): Promise<Message[]> {
    const messages = types.map((type) => this.message(type))
    await this.commit({ append: [{ stream, events: messages.map((message) => ({ message })) }] })
    return messages
  }

  /** Everything that a partition holds, read page by page. */
  async read(topic: string, partition = 0, bytesMax?: number): Promise<RecordOutcome[]> {
    const { topics } = this.#engine
    let offset = await topics.locate(topic, partition, 'earliest')
    const records: RecordOutcome[] = []
    for (;;) {
      const page = await topics.read({ topic, partition, offset, ...(bytesMax === undefined ? {} : { bytesMax }) })
      for (const record of page.records) {
        const previous = records.at(-1)
        assert.ok(previous === undefined || record.offset > previous.offset, 'offsets must rise')
        assert.ok(record.offset >= offset && record.offset < page.nextOffset, 'a page holds what its bounds say')
        records.push(record)
      }
      if (page.nextOffset >= page.latest) return records
      assert.ok(page.nextOffset > offset, 'a page before the end must lead on')
      offset = page.nextOffset
    }
  }

  /** The data of all messages of a partition. */
  async data(topic: string, partition = 0): Promise<unknown[]> {
    return (await this.read(topic, partition)).map((record) => messageOf(record).data)
  }

  /** Whether the engine keeps this kind of thing. */
  keeps(kind: Kept): boolean {
    return this.#engine.capabilities.keeps.includes(kind)
  }

  /** How many records a topic holds in all partitions, by its description unless offsets may hold none. */
  async recordCount(topic: string): Promise<number> {
    const description = await this.#engine.topics.describe(topic)
    assert.ok(description, `topic ${topic} must exist`)
    if (this.#engine.capabilities.topics.offsetGaps === true) {
      const records = await Promise.all(description.partitions.map(({ partition }) => this.read(topic, partition)))
      return records.reduce((sum, { length }) => sum + length, 0)
    }
    return description.partitions.reduce((sum, { earliest, latest }) => sum + latest - earliest, 0)
  }

  async stream(stream: string): Promise<StoredEvent[]> {
    return Array.fromAsync(this.#engine.events.readStream(stream))
  }

  /** The value under a key, or undefined. */
  async value(namespace: string, key: string): Promise<unknown> {
    return (await this.#engine.state.get(namespace, key))?.value
  }

  /** Lets everything else that waits for its turn have it: a case that looks again and again calls this in between. */
  async turn(): Promise<void> {
    await setImmediate()
  }

  /** Waits until something holds. The engine's own time does not move meanwhile. */
  async eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
    const giveUpMs = systemClock.monotonicMs() + patienceMs
    for (let pauseMs = 1; !(await holds()); pauseMs = Math.min(lookEveryMsMost, pauseMs * 1.2)) {
      if (systemClock.monotonicMs() > giveUpMs) assert.fail(`did not come about: ${what}`)
      await sleep(pauseMs, systemClock)
    }
  }
}

/** The message of a record that must be one. */
export function messageOf(record: RecordOutcome): Message {
  if (record.kind !== 'message') assert.fail(`offset ${record.offset} is no message but ${record.kind}`)
  return record.message
}

/** Rejects unless the call rejects with an error of Millrace that has this code, if one is given. */
export async function refuses(call: () => Promise<unknown>, code?: string): Promise<Error> {
  let thrown: unknown
  await assert.rejects(call, (error: unknown) => {
    thrown = error
    return true
  })
  const { code: actual, message } = thrown as { code?: unknown; message?: unknown }
  if (code !== undefined) assert.equal(actual, code, String(message))
  assert.ok(
    typeof actual === 'string' && /^[A-Z][A-Z0-9_]+$/.test(actual),
    `an error without a code: ${String(thrown)}`,
  )
  assert.ok('remedy' in (thrown as object), `not an error of Millrace: ${String(thrown)}`)
  return thrown as Error
}
