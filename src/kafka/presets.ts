import { type OptionProblem, OptionsInvalidError } from '../kernel/index.ts'
import type { KafkaOptions } from './options.ts'

/** What {@link eventHubs} needs. */
export interface EventHubsOptions extends Omit<KafkaOptions, 'brokers' | 'sasl' | 'tls'> {
  /** Name of the namespace: `<namespace>.servicebus.windows.net`, or that whole name for other clouds. */
  readonly namespace: string
  /** Connection string of a shared access policy; a function is asked for each connection. */
  readonly connectionString: string | (() => string | Promise<string>)
}

/**
 * Options of {@link kafka} for the Kafka endpoint of Azure Event Hubs: TLS on port 9093, login by connection string, the
 * classic group protocol. Transactions need a tier that has them.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`: no namespace, or no connection string. {@link kafka} checks the others.
 *
 * @example
 * ```ts
 * const engine = kafka(eventHubs({ namespace: 'shop', connectionString: secret }))
 * ```
 */
export function eventHubs(options: EventHubsOptions): KafkaOptions {
  const { namespace, connectionString, ...rest } = options ?? ({} as Partial<EventHubsOptions>)
  const problems: OptionProblem[] = []
  if (typeof namespace !== 'string' || namespace === '') {
    problems.push({ option: 'namespace', problem: 'is no name of a namespace' })
  }
  if (!(typeof connectionString === 'function' || (typeof connectionString === 'string' && connectionString !== ''))) {
    problems.push({
      option: 'connectionString',
      problem: 'is neither a connection string nor a function that gets one',
    })
  }
  if (problems.length > 0) throw new OptionsInvalidError('eventHubs()', problems)
  const host = namespace.includes('.') ? namespace : `${namespace}.servicebus.windows.net`
  return {
    groupProtocol: 'classic',
    ...rest,
    brokers: [`${host}:9093`],
    tls: true,
    sasl: { mechanism: 'PLAIN', username: '$ConnectionString', password: connectionString },
  }
}

/**
 * Options of {@link kafka} for Redpanda, which has the classic group protocol.
 *
 * @example
 * ```ts
 * const engine = kafka(redpanda({ brokers: ['localhost:9092'] }))
 * ```
 */
export function redpanda(options: KafkaOptions): KafkaOptions {
  return { groupProtocol: 'classic', ...options }
}
