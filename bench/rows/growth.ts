import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { EmbeddedEngine } from '../../src/embedded/index.ts'
import { embedded } from '../../src/embedded/index.ts'
import { groupBytes, OrderPlaced, orderDataOf, orderMessages, partitionCount } from '../events.ts'
import { inFlight, inTurn, ordersTopic, piecesOf, publishInFlight } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { median, rateOf } from '../statistics.ts'
import { SyncLoop } from '../sync-loop.ts'

const streamCount = 10_000
const eventsPerAppend = 100
const rounds = 3

/** What was measured at one size, in events/s. */
interface Stage {
  readonly eventCount: number
  readonly publish: number
  readonly append: number
  readonly read: number
  readonly sync: number
}

/** One engine that fills up, with as many events in its topic as in its streams. */
class Growing {
  readonly #engine: EmbeddedEngine
  readonly #loop: SyncLoop
  readonly #sampleSize: number
  /** Gigabytes were just written: for some seconds the disk is still busy with them, whoever writes. */
  readonly #restMs: number
  readonly #singles = inTurn(piecesOf(orderMessages(20_000), 1))
  readonly #batches = inTurn(piecesOf(orderMessages(20_000), 500))
  readonly #group = groupBytes(orderMessages(1024))
  #published = 0
  #appended = 0

  constructor(engine: EmbeddedEngine, loop: SyncLoop, sampleSize: number, restMs: number) {
    this.#restMs = restMs
    this.#engine = engine
    this.#loop = loop
    this.#sampleSize = sampleSize
  }

  async fillTo(eventCount: number): Promise<void> {
    const batchCount = Math.max(0, Math.ceil((eventCount - this.#published) / 500))
    await publishInFlight(this.#engine, { commits: batchCount, inFlight: 4 }, this.#batches)
    this.#published += batchCount * 500
    const appendCount = Math.max(0, Math.ceil((eventCount - this.#appended) / eventsPerAppend))
    await inFlight({ commits: appendCount, inFlight: 16 }, () => this.#append(eventsPerAppend))
  }

  async measure(eventCount: number): Promise<Stage> {
    const found = { publish: [] as number[], append: [] as number[], read: [] as number[], sync: [] as number[] }
    const size = this.#sampleSize
    await sleep(this.#restMs)
    for (let round = 0; round < rounds; round++) {
      found.sync.push(await rateOf(size, () => this.#sync(size)))
      found.publish.push(
        await rateOf(size, () => publishInFlight(this.#engine, { commits: size, inFlight: 1024 }, this.#singles)),
      )
      this.#published += size
      found.append.push(
        await rateOf(size / 4, () => inFlight({ commits: size / 4, inFlight: 256 }, () => this.#append(1))),
      )
      // The first time brings the places into the cache of the system: what a disk takes for that is not the engine's cost.
      await this.#read(size)
      found.read.push(await rateOf(size, () => this.#read(size)))
    }
    return {
      eventCount,
      publish: median(found.publish),
      append: median(found.append),
      read: median(found.read),
      sync: median(found.sync),
    }
  }

  async #append(count: number): Promise<void> {
    const first = this.#appended
    this.#appended += count
    const events = Array.from({ length: count }, (_, i) => ({ message: OrderPlaced(orderDataOf(first + i)) }))
    const stream = `order-${(first * 7919) % streamCount}`
    const outcome = await this.#engine.commit({ append: [{ stream, events }] })
    if (!outcome.ok) throw new Error(`an append was refused: ${JSON.stringify(outcome.conflict)}`)
  }

  /** Reads from places all over the topic, so that the age of the file shows. */
  async #read(count: number): Promise<void> {
    const places = 10
    for (let place = 0; place < places; place++) {
      const partition = place % partitionCount
      const described = await this.#engine.topics.locate(ordersTopic, partition, 'latest')
      let offset = Math.floor((described * place) / (places + 1))
      for (let left = count / places; left > 0; ) {
        const { records, nextOffset, latest } = await this.#engine.topics.read({
          topic: ordersTopic,
          partition,
          offset,
        })
        left -= records.length
        offset = nextOffset < latest ? nextOffset : 0
      }
    }
  }

  #sync(count: number): void {
    for (let written = 0; written < count; written += 1024) this.#loop.write(this.#group)
  }
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const sizes = quick ? [10_000, 100_000] : [100_000, 1_000_000, 5_000_000]
  // Without memory for recent messages every read goes to the file.
  await using engine = await embedded({ path: join(folder, 'growth.db'), recentBytesMax: 0 }).open()
  await engine.topics.create(ordersTopic, { partitions: partitionCount })
  using loop = new SyncLoop(folder)
  const growing = new Growing(engine, loop, quick ? 20_480 : 81_920, quick ? 500 : 8_000)
  await growing.fillTo((sizes[0] as number) / 2)
  await growing.measure(0)
  const stages: Stage[] = []
  for (const size of sizes) {
    await growing.fillTo(size)
    stages.push(await growing.measure(size))
  }
  return (['publish', 'append', 'read'] as const).flatMap((work) =>
    stages.map((stage) => figureOf(work, stage, stages)),
  )
}

function figureOf(work: 'publish' | 'append' | 'read', stage: Stage, stages: readonly Stage[]): Figure {
  const first = stages[0] as Stage
  const figure = {
    what: `${work} at ${stage.eventCount.toLocaleString('en-US')} events`,
    value: 1e6 / stage[work],
    unit: 'µs/event',
  }
  if (stage === first) return figure
  // A disk that became slower is not the engine's doing; one that became faster is no excuse either.
  const slowdown = work === 'read' ? 1 : Math.max(1, first.sync / stage.sync)
  const at = `µs/event at ${first.eventCount.toLocaleString('en-US')}`
  return {
    ...figure,
    limit: {
      what: slowdown === 1 ? at : `${at}, times ${slowdown.toFixed(2)} by which the bare sync loop became slower`,
      value: (1e6 / first[work]) * slowdown,
    },
    // What differs by less is the machine's own unrest.
    target: { of: 'ratio', atMost: 1.25 },
  }
}

/** What must not depend on how much is there already. */
export const growth: BenchRow = { title: 'Cost per event as the file grows', run }
