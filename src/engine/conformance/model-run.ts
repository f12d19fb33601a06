import assert from 'node:assert/strict'
import type { Claim } from '../groups.ts'
import type { AppendWrite, ProducerSequence, PublishWrite, StateWrite, TimerWrite, WriteBatch } from '../write-batch.ts'
import { Fixture } from './fixture.ts'
import type { Ground } from './ground.ts'
import { type Answer, EngineModel } from './model.ts'
import { checkAgainst, followMaintenance } from './model-check.ts'
import type { ModelEvent } from './model-events.ts'
import { choose, modelNames, modelTopics, type Operation, type Part } from './model-operations.ts'

const { group } = modelNames
const [{ name: plainTopic, config: plainConfig }] = modelTopics

/** Does the same things to an engine and to the model, and fails as soon as they differ. */
export class ModelRun {
  readonly model: EngineModel = new EngineModel()
  readonly #fixture: Fixture
  readonly #appends: { write: AppendWrite; position: number }[] = []
  readonly #producers = new Map<string, { producerId: number; epoch: number }>()
  /** What the engine called the schedulings of timers: place, generation of the model, revision of the engine. */
  readonly #revisions: { place: string; generation: number; revision: number }[] = []
  readonly #staleClaims: Claim[] = []
  #claims: readonly Claim[] = []
  #leave: () => Promise<void> = async () => {}
  /** Sequence numbers used up by commits that were not answered yet. */
  #ahead = new Map<string, number>()

  private constructor(fixture: Fixture) {
    this.#fixture = fixture
  }

  /** Runs the operations on a ground that is empty, checks everything at the end, and gives the run for its counts. */
  static async run(ground: Ground, operations: readonly Operation[]): Promise<ModelRun> {
    const run = new ModelRun(await Fixture.open(ground))
    try {
      await run.#start()
      for (const operation of operations) await run.#do(operation)
      await run.#do({ kind: 'check' })
      return run
    } finally {
      await run.#fixture.close()
    }
  }

  async #start(): Promise<void> {
    for (const { name, config } of modelTopics) {
      await this.#fixture.engine.topics.create(name, config)
      this.model.createTopic(name, config.partitions)
    }
    for (const name of modelNames.producers) await this.#register(name)
    await this.#join()
  }

  async #do(operation: Operation): Promise<void> {
    const { engine } = this.#fixture
    switch (operation.kind) {
      case 'commit':
        return this.#commit([operation.parts])
      case 'burst':
        return this.#commit(operation.batches)
      case 'truncate-topic': {
        const { name, config } = choose(modelTopics, operation.topic)
        const number = operation.partition % config.partitions
        const partition = this.model.partition(name, number)
        const before = Math.floor(partition.latest * operation.share)
        await engine.topics.truncate(name, number, before)
        partition.earliest = Math.max(partition.earliest, before)
        partition.records = partition.records.filter(({ offset }) => offset >= before)
        return
      }
      case 'truncate-stream':
      case 'delete-stream':
        return this.#end(operation)
      case 'add-tags':
        return this.#addTags(operation)
      case 'maintain':
        await this.#fixture.clock.advance(operation.advanceMs)
        // The member's session ran out if time went far: it joins anew, as a program would.
        await this.#rejoin()
        await engine.topics.maintain()
        return followMaintenance(this.#fixture, this.model)
      case 'reset': {
        await this.#leave()
        const number = operation.partition % plainConfig.partitions
        const { earliest, latest } = this.model.partition(plainTopic, number)
        const next = earliest + Math.floor((latest - earliest) * operation.share)
        await engine.groups.reset(group, plainTopic, { offset: next }, number)
        const progress = this.model.progressOf(group, plainTopic, number)
        progress.next = next
        progress.done.clear()
        return this.#rejoin()
      }
      case 'rejoin':
        return this.#rejoin()
      case 'register':
        return this.#register(choose(modelNames.producers, operation.producer))
      case 'reopen':
        await this.#fixture.reopen()
        await this.#join()
        return checkAgainst(this.#fixture, this.model)
      case 'check':
        return checkAgainst(this.#fixture, this.model)
    }
  }

  async #commit(batches: readonly (readonly Part[])[]): Promise<void> {
    await this.#noteRevisions()
    this.#ahead = new Map()
    const sent = batches.map((parts) => {
      const batch = this.#batch(parts)
      const answer = this.#fixture.engine.commit(batch.engine).catch((error: unknown): Answer => error as Error)
      return { batch, answer }
    })
    for (const { batch, answer } of sent) {
      const given = await answer
      this.model.take(batch.model, given)
      if (given instanceof Error || !given.ok) continue
      for (const [index, write] of (batch.model.append ?? []).entries()) {
        this.#appends.push({ write, position: given.appended[index]?.lastPosition ?? 0 })
      }
    }
  }

  /** The batch as the engine gets it, and as the model does: there, timers are named by generation, not by revision. */
  #batch(parts: readonly Part[]): { engine: WriteBatch; model: WriteBatch } {
    const publish: PublishWrite[] = []
    const append: AppendWrite[] = []
    const state: StateWrite[] = []
    const timers: TimerWrite[] = []
    const modelTimers: TimerWrite[] = []
    const produced = new Map<string, boolean>()
    const progress: { claim: Claim; done: { from: number; to: number }[] }[] = []
    for (const part of parts) {
      switch (part.kind) {
        case 'produce': {
          // One batch twice in one commit is nothing that a program does, and no engine has to make sense of it.
          const place = `${part.producer % modelNames.producers.length} ${part.partition % plainConfig.partitions}`
          const isNext = part.shift === 0 && !part.stale
          if (produced.has(place) && !(isNext && produced.get(place) === true)) break
          produced.set(place, isNext)
          publish.push(this.#publish(part))
          break
        }
        case 'publish':
          publish.push(this.#publish(part))
          break
        case 'append':
        case 'repeat':
          append.push(...this.#append(part))
          break
        case 'set':
        case 'delete':
        case 'clear':
          state.push(this.#state(part))
          break
        case 'progress':
          progress.push(...this.#progress(part))
          break
        default: {
          const [forEngine, forModel] = this.#timer(part)
          timers.push(forEngine)
          modelTimers.push(forModel)
        }
      }
    }
    return {
      engine: { publish, append, state, timers, progress },
      model: { publish, append, state, timers: modelTimers, progress },
    }
  }

  #publish(part: Extract<Part, { kind: 'publish' | 'produce' }>): PublishWrite {
    const f = this.#fixture
    if (part.kind === 'publish') {
      const { name, config } = choose(modelTopics, part.topic)
      // A compacted topic may refuse what has no key.
      const needsKey = 'cleanup' in config
      const keys = part.keys.map((key) => (key === null ? (needsKey ? 'a' : null) : choose(modelNames.keys, key)))
      const partition = part.partition === undefined ? {} : { partition: part.partition % config.partitions }
      if (part.form === 'messages') {
        // An empty key is a key of a record, but no attribute of an envelope.
        const keyless = needsKey ? { partitionkey: 'a' } : {}
        const messages = keys.map((key) => f.message('T', null, key ? { partitionkey: key } : keyless))
        return { topic: name, ...partition, messages }
      }
      const value = part.form === 'tombstones' ? null : f.name('raw')
      const records = keys.map((key) => ({ key, value, timestampMs: f.nowMs() }))
      return { topic: name, ...partition, records }
    }
    const { producerId, epoch } = this.#producers.get(choose(modelNames.producers, part.producer)) as ProducerSequence
    const partition = part.partition % plainConfig.partitions
    const known = this.model.sequencesOf(producerId, plainTopic, partition)
    const key = `${producerId} ${partition}`
    const next = (known?.epoch === epoch ? known.next : 0) + (this.#ahead.get(key) ?? 0)
    const sequence = Math.max(0, next + part.shift)
    if (part.shift === 0) this.#ahead.set(key, (this.#ahead.get(key) ?? 0) + part.count)
    const producer = { producerId, epoch: part.stale && epoch > 0 ? epoch - 1 : epoch, sequence }
    return { topic: plainTopic, partition, messages: f.numbered(part.count), producer }
  }

  #append(part: Extract<Part, { kind: 'append' | 'repeat' }>): AppendWrite[] {
    const f = this.#fixture
    if (part.kind === 'repeat') {
      // What was truncated or deleted is not repeated: whether its ids are still known is the engine's choice.
      const standing = new Set(this.model.data.events.map(({ id }) => id))
      const able = this.#appends.filter(({ write }) => write.events.every(({ message }) => standing.has(message.id)))
      if (able.length === 0) return []
      const { write } = choose(able, part.append)
      if (part.whole) return [write]
      return [{ stream: write.stream, events: [...write.events.slice(0, 1), { message: f.message('A') }] }]
    }
    const stream = choose(modelNames.streams, part.stream)
    const version = this.model.data.streams.get(stream)?.version ?? 0
    const expected =
      part.expected === 'current' ? version : part.expected === 'behind' ? Math.max(0, version - 1) : part.expected
    const tags = [...new Set(part.tags.map((tag) => choose(modelNames.tags, tag)))]
    const events = part.types.map((type) => ({ message: f.message(choose(modelNames.types, type)), tags }))
    if (part.condition === undefined) return [{ stream, events, expected }]
    const { type, after } = part.condition
    const item = {
      ...(type === null ? {} : { types: [choose(modelNames.types, type)] }),
      tags: [...new Set(part.condition.tags.map((tag) => choose(modelNames.tags, tag)))],
    }
    const positions = [0, ...this.#appends.map(({ position }) => position)]
    const condition = { query: { items: [item] }, after: positions.at(-1 - (after % positions.length)) as number }
    return [{ stream, events, expected, condition }]
  }

  #state(part: Extract<Part, { kind: 'set' | 'delete' | 'clear' }>): StateWrite {
    const namespace = choose(modelNames.namespaces, part.namespace)
    if (part.kind === 'clear') return { kind: 'clear', namespace }
    // An empty key is no name that an engine has to take.
    const key = choose(modelNames.keys.slice(0, -1), part.key)
    const actual = this.model.data.state.get(namespace)?.get(key)?.revision ?? 0
    const expected =
      part.expected === 'any' ? {} : { expectedRevision: part.expected === 'current' ? actual : actual + 1 }
    if (part.kind === 'delete') return { kind: 'delete', namespace, key, ...expected }
    return { kind: 'set', namespace, key, value: part.value as never, ...expected }
  }

  #timer(part: Extract<Part, { kind: 'schedule' | 'cancel' | 'fire' }>): [engine: TimerWrite, model: TimerWrite] {
    const [owner, id] = [choose(modelNames.owners, part.owner), choose(modelNames.ids, part.id)]
    if (part.kind === 'cancel')
      return [
        { kind: 'cancel', owner, id },
        { kind: 'cancel', owner, id },
      ]
    if (part.kind === 'schedule') {
      const write = { kind: 'schedule', owner, id, dueMs: part.dueMs, payload: part.payload as never } as const
      return [write, write]
    }
    const known = this.#revisions.filter(({ place }) => place === `${owner} ${id}`)
    const one = known.at(-1 - (part.age % Math.max(1, known.length)))
    const fire = { kind: 'fire', owner, id } as const
    return [
      { ...fire, revision: one?.revision ?? 1_000_000 },
      { ...fire, revision: -(one?.generation ?? -1) },
    ]
  }

  #progress(part: Extract<Part, { kind: 'progress' }>): { claim: Claim; done: { from: number; to: number }[] }[] {
    const partition = part.partition % plainConfig.partitions
    const claims = part.stale ? this.#staleClaims : this.#claims
    const claim = claims.findLast((one) => one.partition === partition)
    const { latest } = this.model.partition(plainTopic, partition)
    if (claim === undefined || latest === 0) return []
    const from = part.from % latest
    return [{ claim, done: [{ from, to: Math.min(latest, from + part.count) }] }]
  }

  /** Reads which revisions the timers that stand have, for those that fire later. */
  async #noteRevisions(): Promise<void> {
    for (const timer of await this.#fixture.engine.timers.list({ limit: 1000 })) {
      const place = `${timer.owner} ${timer.id}`
      const generation = this.model.data.timers.get(place)?.generation
      assert.ok(generation !== undefined, `timer ${place} is not in the model`)
      const known = this.#revisions.find((one) => one.place === place && one.revision === timer.revision)
      if (known === undefined) this.#revisions.push({ place, generation, revision: timer.revision })
      else assert.equal(known.generation, generation, `timer ${place} was scheduled anew under its old revision`)
    }
  }

  async #end(operation: Extract<Operation, { kind: 'truncate-stream' | 'delete-stream' }>): Promise<void> {
    const name = choose(modelNames.streams, operation.stream)
    const stream = this.model.data.streams.get(name)
    if (stream === undefined || stream.tombstoned) return
    const { events } = this.#fixture.engine
    if (operation.kind === 'truncate-stream') {
      const before = 1 + Math.floor(stream.version * operation.share)
      await events.truncateStream(name, before)
      stream.truncatedBefore = Math.max(stream.truncatedBefore, before)
    } else {
      await events.deleteStream(name, { tombstone: operation.tombstone })
      if (stream.deletedAt !== stream.version) stream.deletedAt = ++stream.version
      stream.truncatedBefore = stream.version + 1
      stream.tombstoned = operation.tombstone
    }
    const { data } = this.model
    data.events = data.events.filter((one) => one.stream !== name || one.version >= stream.truncatedBefore)
  }

  async #addTags({ events, tags }: Extract<Operation, { kind: 'add-tags' }>): Promise<void> {
    const { data } = this.model
    if (data.events.length === 0) return
    const names = [...new Set(tags.map((tag) => choose(modelNames.tags, tag)))]
    const chosen = new Set(events.map((event) => choose(data.events, event)))
    const lacking = [...chosen].filter((event) => names.some((name) => !event.tags.includes(name)))
    const positions = await this.#positionsOf([...chosen])
    const added = await this.#fixture.engine.events.addTags(positions.map((position) => ({ position, tags: names })))
    assert.equal(added, lacking.length)
    for (const event of lacking) event.tags = [...new Set([...event.tags, ...names])]
  }

  async #positionsOf(events: readonly ModelEvent[]): Promise<readonly number[]> {
    const positions: number[] = []
    for (const { stream, version } of events) {
      const range = { fromVersion: version, limit: 1 }
      for await (const { position } of this.#fixture.engine.events.readStream(stream, range)) positions.push(position)
    }
    return positions
  }

  async #register(name: string): Promise<void> {
    const known = this.#producers.get(name)
    const producer = await this.#fixture.engine.topics.registerProducer(name)
    if (known !== undefined) assert.deepEqual(producer, { producerId: known.producerId, epoch: known.epoch + 1 })
    this.#producers.set(name, producer)
    this.model.data.producerEpochs.set(producer.producerId, producer.epoch)
  }

  async #rejoin(): Promise<void> {
    await this.#leave()
    await this.#join()
  }

  async #join(): Promise<void> {
    this.#staleClaims.push(...this.#claims)
    const assigned: Claim[] = []
    const member = await this.#fixture.engine.groups.join({
      group,
      topics: [plainTopic],
      sessionTimeoutMs: 2 ** 40,
      onAssigned: (assignments) => assigned.push(...assignments.map(({ claim }) => claim)),
      onRevoked: async () => {},
      onLost: () => {},
    })
    await this.#fixture.eventually('the claims', () => assigned.length === plainConfig.partitions)
    this.#claims = assigned
    for (const { partition, epoch } of assigned) this.model.claim(group, plainTopic, partition, epoch)
    this.#leave = () => member.leave()
  }
}
