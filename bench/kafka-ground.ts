import { startServer } from '../scripts/servers/index.ts'
import type { Engine } from '../src/engine/index.ts'
import { kafka } from '../src/kafka/index.ts'
import { BareKafka } from './bare-kafka.ts'

/** An engine and a bare client on one broker, each with topics of its own that go in the end. */
export interface KafkaGround extends AsyncDisposable {
  readonly brokers: readonly string[]
  readonly prefix: string
  readonly engine: Engine
  readonly bare: BareKafka
  /** A name that nobody else uses, of a topic or a group. */
  name(label: string): string
}

/** Starts a broker if none runs, and opens both clients. */
export async function kafkaGround(): Promise<KafkaGround> {
  const brokers = (await startServer('kafka')).connection.bootstrapBrokers
  // All names on the brokers begin with it, so that all that is there can be found and deleted.
  const prefix = `bench-${process.pid}.`
  const engine = await kafka({ brokers, prefix }).open()
  const bare = new BareKafka(brokers, prefix)
  let names = 0
  return {
    brokers,
    prefix,
    engine,
    bare,
    name: (label) => `${label}-${names++}`,
    [Symbol.asyncDispose]: async () => {
      await bare.close()
      for (const { name } of await engine.topics.list()) await engine.topics.delete(name)
      await engine.close()
    },
  }
}
