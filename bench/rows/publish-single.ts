import { join } from 'node:path'
import { embedded } from '../../src/embedded/index.ts'
import type { Message } from '../../src/message/index.ts'
import { groupBytes, OrderPlaced, orderDataOf, orderMessages, partitionCount } from '../events.ts'
import { AnswerGroups, inTurn, ordersTopic, piecesOf, publishInFlight } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { see } from '../see.ts'
import { alternate, percentile, rateOf } from '../statistics.ts'
import { SyncLoop } from '../sync-loop.ts'

const inFlight = 1024
async function measure(
  { quick, folder }: RowSettings,
  atLeast: number,
  nextMessages: () => () => readonly Message[],
): Promise<readonly Figure[]> {
  const rounds = quick ? 3 : 7
  const eventCount = inFlight * (quick ? 50 : 100)
  // The loops are three and even faster: more would only tire the disk.
  const loopEventCount = inFlight * 30
  await using engine = await embedded({ path: join(folder, 'publish.db') }).open()
  await engine.topics.create(ordersTopic, { partitions: partitionCount })
  using loop = new SyncLoop(folder)
  const latenciesMs: number[] = []
  const next = nextMessages()
  const answers = new AnswerGroups()
  await publishInFlight(engine, { commits: eventCount, inFlight, groups: answers }, next)
  // The engine syncs what has gathered; the loop is given groups of the same size, and of all that can be in flight.
  const groupSize = Math.round(answers.answerCount / answers.groupCount)
  const same = groupsOf(groupSize)
  const full = groupsOf(inFlight)
  const found = await alternate(rounds, {
    engine: () =>
      rateOf(eventCount, () => publishInFlight(engine, { commits: eventCount, inFlight, latenciesMs }, next)),
    sync: () => rateOf(loopEventCount, () => syncGroups(loop, same, loopEventCount, false)),
    stringify: () => rateOf(loopEventCount, () => syncGroups(loop, same, loopEventCount, true)),
    syncFull: () => rateOf(loopEventCount, () => syncGroups(loop, full, loopEventCount, false)),
  })
  return [
    {
      what: 'throughput',
      value: found.engine,
      unit: 'events/s',
      limit: { what: `write+fdatasync by ${groupSize}`, value: found.sync },
      target: { of: 'ratio', atLeast },
      notes: [
        `the target is held against the bare sync loop with groups of ${groupSize}, the mean of what the engine answered at once`,
      ],
    },
    {
      what: '  against groups of all that can be in flight',
      value: found.engine,
      unit: 'events/s',
      limit: { what: `write+fdatasync by ${inFlight}`, value: found.syncFull },
    },
    {
      what: '  against the loop that also has to encode',
      value: found.engine,
      unit: 'events/s',
      limit: { what: `JSON.stringify+write+fdatasync by ${groupSize}`, value: found.stringify },
    },
    { what: 'latency p50', value: percentile(latenciesMs, 0.5), unit: 'ms' },
    { what: 'latency p99', value: percentile(latenciesMs, 0.99), unit: 'ms', target: { of: 'value', atMost: 50 } },
  ]
}

interface Group {
  readonly messages: readonly Message[]
  readonly bytes: Buffer
}

/** Groups of one size, encoded before the clock starts. */
function groupsOf(size: number): readonly Group[] {
  return piecesOf(orderMessages(size * 10), size).map((messages) => ({ messages, bytes: groupBytes(messages) }))
}

function syncGroups(loop: SyncLoop, groups: readonly Group[], eventCount: number, stringifies: boolean): void {
  const next = inTurn(groups)
  for (let written = 0; written < eventCount; ) {
    const { messages, bytes } = next()
    if (stringifies) for (const { data } of messages) see(JSON.stringify(data).length)
    loop.write(bytes)
    written += messages.length
  }
}

/** Events that stand there already: what the engine costs. */
export const publishSingle: BenchRow = {
  title: 'Durable publish, single events, 1,024 in flight',
  run: (settings) => measure(settings, 0.4, () => inTurn(piecesOf(orderMessages(20_000), 1))),
}

/** Events that are created and validated by their schema as they are published: what a program sees. */
export const publishCreated: BenchRow = {
  title: 'The same, events created and validated in the loop',
  run: (settings) =>
    measure(settings, 0.25, () => {
      const data = inTurn(Array.from({ length: 20_000 }, (_, index) => orderDataOf(index)))
      return () => [OrderPlaced(data())]
    }),
}
