/**
 * The Kafka engine: topics, the progress of consumer groups and state in a Kafka cluster, committed together in transactions.
 * @module
 */
import { checkOptions } from '../committing/index.ts'
import type { Engine, EngineEnvironment, EngineSource } from '../engine/index.ts'
import { systemClock, systemRandom } from '../kernel/index.ts'
import { KafkaEngine, kafkaCapabilities, kafkaStateCapabilities } from './kafka-engine.ts'
import { type KafkaOptions, resolveKafkaOptions } from './options.ts'
import { prefixedEngine } from './prefixed-engine.ts'

export type { KafkaContentMode } from './content-mode.ts'
export {
  KafkaChangelogUnfitError,
  KafkaClientMissingError,
  KafkaFeatureMissingError,
  KafkaKeepsNotError,
  KafkaLoginRefusedError,
  KafkaNotAuthorisedError,
  KafkaOutcomeUnknownError,
  KafkaProducerNumberingError,
  KafkaProgressScatteredError,
  KafkaRefusedError,
  KafkaStateFileError,
  KafkaTlsError,
  KafkaUnreachableError,
} from './errors.ts'
export type { KafkaGroupProtocol, KafkaOptions, KafkaSasl, KafkaStateOptions, KafkaTopicSettings } from './options.ts'
export { type EventHubsOptions, eventHubs, redpanda } from './presets.ts'

/** An {@link EngineSource} that connects to a cluster. */
export interface KafkaSource extends EngineSource {
  open(environment?: Partial<EngineEnvironment>): Promise<Engine>
}

/**
 * Describes a Kafka engine; `open()`, or the app that is started with it, connects it. It needs the package
 * `@platformatic/kafka` beside millrace, and brokers of Kafka 3.0 or newer.
 *
 * @throws OptionsInvalidError at once; `open()` rejects with KafkaClientMissingError, KafkaUnreachableError,
 *   KafkaLoginRefusedError, KafkaTlsError, KafkaFeatureMissingError.
 * @example
 * ```ts
 * await using engine = await kafka({ brokers: ['localhost:9092'], clientId: 'shop' }).open()
 * await engine.topics.ensure('orders', { partitions: 12 })
 * ```
 */
export function kafka(options: KafkaOptions): KafkaSource {
  const resolved = resolveKafkaOptions(options)
  return {
    name: 'kafka',
    capabilities: resolved.state === undefined ? kafkaCapabilities : kafkaStateCapabilities,
    open: async (environment = {}) => {
      checkOptions('environment', environment)
      const engine = await KafkaEngine.open(resolved, {
        clock: environment.clock ?? systemClock,
        random: environment.random ?? systemRandom,
      })
      return resolved.prefix === '' ? engine : prefixedEngine(engine, resolved.prefix)
    },
  }
}
