import type { BenchRow } from '../row.ts'

/** A row that is loaded by the process that runs it. */
export interface NamedRow {
  readonly name: string
  readonly title: string
  readonly load: () => Promise<BenchRow>
}

/** Rows on real servers, each beside the bare client doing the same work. */
export const engineRows: readonly NamedRow[] = [
  {
    name: 'postgres-append',
    title: 'PostgreSQL: conditional append to 10,000 streams, 256 in flight',
    load: async () => (await import('./postgres-append.ts')).postgresAppend,
  },
  {
    name: 'postgres-publish',
    title: 'PostgreSQL: publish and read, 256 in flight',
    load: async () => (await import('./postgres-publish.ts')).postgresPublish,
  },
  {
    name: 'outbox-relay',
    title: 'Outbox of own tables in PostgreSQL: relay to the embedded engine',
    load: async () => (await import('./outbox-relay.ts')).outboxRelay,
  },
  {
    name: 'capture',
    title: 'Changes of tables in PostgreSQL: capture to the embedded engine',
    load: async () => (await import('./capture.ts')).captureRow,
  },
  {
    name: 'kafka-publish',
    title: 'Kafka: publish and consume beside the bare client',
    load: async () => (await import('./kafka-publish.ts')).kafkaPublish,
  },
  {
    name: 'kafka-exactly-once',
    title: 'Kafka: exactly-once consume, handle and publish beside transactions by hand',
    load: async () => (await import('./kafka-exactly-once.ts')).kafkaExactlyOnce,
  },
  {
    name: 'kafka-workers',
    title: 'Kafka and PostgreSQL: an app in one process and in two',
    load: async () => (await import('./kafka-workers.ts')).kafkaWorkers,
  },
]

/** Rows beside other systems that do the same work. */
export const besideRows: readonly NamedRow[] = [
  {
    name: 'sagas-beside',
    title: 'Sagas of two steps beside Restate, and DBOS on PostgreSQL',
    load: async () => (await import('./sagas-beside.ts')).sagasBeside,
  },
]

/** Rows beside systems that do a part of the same work. */
export const rivalRows: readonly NamedRow[] = [
  {
    name: 'rivals-brokers',
    title: 'Beside logs and queues: publish, publish to handled, consume',
    load: async () => (await import('./rivals-brokers.ts')).rivalsBrokers,
  },
  {
    name: 'rivals-stores',
    title: 'Beside event stores: append, read',
    load: async () => (await import('./rivals-stores.ts')).rivalsStores,
  },
  {
    name: 'rivals-conditional',
    title: 'Beside functions on PostgreSQL: append under a condition over tags',
    load: async () => (await import('./rivals-conditional.ts')).rivalsConditional,
  },
  {
    name: 'rivals-rebuild',
    title: 'Beside event stores: build a view over 1,000,000 events',
    load: async () => (await import('./rivals-rebuild.ts')).rivalsRebuild,
  },
  {
    name: 'rivals-start',
    title: 'Beside all: from nothing that runs to the first event acknowledged',
    load: async () => (await import('./rivals-start.ts')).rivalsStart,
  },
  {
    name: 'rivals-memory',
    title: 'Beside all: memory of client and server after 100,000 events',
    load: async () => (await import('./rivals-memory.ts')).rivalsMemory,
  },
  {
    name: 'rivals-size',
    title: 'Beside all: what an installation takes on disk',
    load: async () => (await import('./rivals-size.ts')).rivalsSize,
  },
]

/** All rows of the embedded engine, in the order in which they are run. */
export const rows: readonly NamedRow[] = [
  {
    name: 'publish-single',
    title: 'Durable publish, single events, 1,024 in flight',
    load: async () => (await import('./publish-single.ts')).publishSingle,
  },
  {
    name: 'publish-created',
    title: 'Durable publish, events created and validated in the loop, 1,024 in flight',
    load: async () => (await import('./publish-single.ts')).publishCreated,
  },
  {
    name: 'publish-batches',
    title: 'Durable publish, batches of 500',
    load: async () => (await import('./publish-batches.ts')).publishBatches,
  },
  {
    name: 'read',
    title: 'Read and decode, one group, from disk',
    load: async () => (await import('./read-from-disk.ts')).readFromDisk,
  },
  {
    name: 'streams',
    title: 'Read streams of the event store',
    load: async () => (await import('./read-streams.ts')).readStreams,
  },
  {
    name: 'handler',
    title: 'Handler with state and one published event each, exactly once',
    load: async () => (await import('./handler-throughput.ts')).handlerThroughput,
  },
  {
    name: 'sagas',
    title: 'Sagas of two steps with undo, at 1, 16 and 64 at once, each awaited to its end',
    load: async () => (await import('./saga-throughput.ts')).sagaThroughput,
  },
  {
    name: 'idle',
    title: "Idle latency, publish to the handler's durable commit",
    load: async () => (await import('./idle-latency.ts')).idleLatency,
  },
  {
    name: 'append',
    title: 'Conditional append to 10,000 streams, 256 in flight',
    load: async () => (await import('./conditional-append.ts')).conditionalAppend,
  },
  {
    name: 'commands',
    title: 'Commands on deciders over 10,000 streams, 256 in flight',
    load: async () => (await import('./deciding.ts')).deciding,
  },
  {
    name: 'rebuild',
    title: 'Rebuild of a counting view over 1,000,000 events',
    load: async () => (await import('./view-rebuild.ts')).viewRebuild,
  },
  {
    name: 'open',
    title: 'Open a file with 1,000,000 events, and replay them',
    load: async () => (await import('./open-and-replay.ts')).openAndReplay,
  },
  {
    name: 'shop',
    title: 'The shop, --once --repeat 200',
    load: async () => (await import('./shop-run.ts')).shopRun,
  },
  {
    name: 'growth',
    title: 'Cost per event as the file grows',
    load: async () => (await import('./growth.ts')).growth,
  },
]
