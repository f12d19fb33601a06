import type { ConnectionOptions } from 'node:tls'
import { type OptionProblem, OptionsInvalidError } from '../kernel/index.ts'
import type { KafkaContentMode } from './content-mode.ts'
import { topicSettingsProblem } from './topic-settings.ts'

/** How the engine says who it is. A function is asked for each connection: for secrets that expire. */
export type KafkaSasl =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
      readonly username: string
      readonly password: string | (() => string | Promise<string>)
    }
  | {
      readonly mechanism: 'OAUTHBEARER'
      readonly token: string | (() => string | Promise<string>)
      /** SASL extensions that go with the token (KIP-342). Default none. */
      readonly extensions?: Readonly<Record<string, string>>
    }

/** How members of a group are coordinated: KIP-848, the older protocol, or what the brokers have. */
export type KafkaGroupProtocol = 'auto' | 'consumer' | 'classic'

/** Where state of Kafka is kept. */
export interface KafkaStateOptions {
  /**
   * Folder of this process alone for copies of the changelog; made if it is not there. What is in it may be deleted while
   * the process is stopped: it is read from the changelog again.
   */
  readonly folder: string
  /**
   * Name of the changelog, a compacted topic of one partition that is made if it is not there, and of the transactional id
   * under which it is written. Default `'millrace.state'`.
   */
  readonly topic?: string
  /**
   * Largest record of a changelog that is made, value and name together, in bytes, 1,024 to 67,108,864: clusters that are run by others
   * bound it, often at a few MiB. Default 67,108,864 (64 MiB).
   */
  readonly recordBytesMax?: number
}

/** Settings of topics by Kafka's names, as text. */
export type KafkaTopicSettings = Readonly<Record<string, string>>

/** Options of {@link kafka}. */
export interface KafkaOptions {
  /** Addresses to start from, each `host:port`; the rest of the cluster is learnt from them. */
  readonly brokers: readonly string[]
  /** Name in the logs and quotas of the brokers. Default `'millrace'`. */
  readonly clientId?: string
  /**
   * The names of topics and groups begin with it on the brokers, and only such topics and groups are seen: several programs,
   * or several copies of one, share a cluster. Up to 100 letters, digits, `.`, `_` and `-`. Default: none.
   */
  readonly prefix?: string
  /**
   * Transactional ids begin with it; each engine that is opened has one of its own. A cluster with access rules must allow
   * ids with this prefix. Default: `clientId`.
   */
  readonly transactionalIdPrefix?: string
  /**
   * Makes members static (KIP-345): a process that comes back under this name within its session gets its partitions back
   * without a rebalance. Unique among the processes that run at the same time. Default: members are dynamic.
   */
  readonly instanceId?: string
  /** Default: no login. */
  readonly sasl?: KafkaSasl
  /** TLS: `true`, or options as `node:tls` takes them. Default false. */
  readonly tls?: boolean | ConnectionOptions
  /** Default `'auto'`. */
  readonly groupProtocol?: KafkaGroupProtocol
  /** Copies of each partition of topics that are created here, 1 to 32,767; `null`: as the brokers say. Default `null`. */
  readonly replicationFactor?: number | null
  /**
   * Further settings of topics that are created here, by Kafka's names (kafka.apache.org/documentation, topic configs), such as
   * `{ 'min.insync.replicas': '2' }`; or a function that is given the name of the topic, without the prefix. What a topic is
   * declared with is not among them. Default: none.
   */
  readonly topicSettings?: KafkaTopicSettings | ((topic: string) => KafkaTopicSettings)
  /**
   * How messages are written: `'binary'`, with attributes as headers, which any consumer can skip and read; or `'structured'`, as
   * one JSON document each, for consumers that expect that. Both are read. Default `'binary'`.
   */
  readonly contentMode?: KafkaContentMode
  /**
   * A transaction that is open for longer is undone by the brokers, in milliseconds, 1,000 to 900,000. While one of a
   * process that died is open, nobody reads past it. Default 15,000.
   */
  readonly transactionTimeoutMs?: number
  /** How often a member says that it lives, at most; brokers may ask for more, in milliseconds, 50 to 60,000. Default 1,000. */
  readonly heartbeatIntervalMs?: number
  /** Without a word for so long a process has lost its members; classic protocol only, in milliseconds. Default 45,000. */
  readonly groupSessionTimeoutMs?: number
  /** Largest `offset.metadata.max.bytes` that the brokers take, in bytes, 64 to 32,767. Default 4,096, as Kafka's. */
  readonly offsetMetadataBytesMax?: number
  /** How long a connection may take to come about, in milliseconds, 100 to 300,000. Default 5,000. */
  readonly connectTimeoutMs?: number
  /**
   * How long one request is waited for: without an answer its connection is given up and the request is made again on a new
   * one, in milliseconds, 1,000 to 1,800,000. Default 30,000, as `request.timeout.ms` of other clients.
   */
  readonly requestTimeoutMs?: number
  /**
   * How long opening, joining and administration try before they fail, in milliseconds, 1,000 to 3,600,000. Default: twice
   * `requestTimeoutMs`, so that one connection that went dead is never the end of a call.
   */
  readonly callTimeoutMs?: number
  /**
   * How long commits and reads, of topics and of state, wait for brokers that are gone, in milliseconds; `null`: as long as it
   * takes. Default `null`: only so it is always known what became of a commit, and a program that runs outlives an outage.
   */
  readonly reconnectTimeoutMs?: number | null
  /** Age at which what is known of topics is asked for anew, in milliseconds, 100 to 3,600,000. Default 30,000. */
  readonly metadataMaxAgeMs?: number
  /** Lets the engine keep state too, in a changelog of the cluster. Default: it keeps topics and progress. */
  readonly state?: KafkaStateOptions
  /** Commits waiting for the brokers, in bytes, 64 KiB to 4 GiB; beyond it, `commit` waits. Default 67,108,864 (64 MiB). */
  readonly bufferBytesMax?: number
}

/** Options with every default filled in. */
export interface ResolvedKafkaOptions extends Required<Omit<KafkaOptions, 'sasl' | 'instanceId' | 'tls' | 'state'>> {
  readonly sasl: KafkaSasl | undefined
  readonly instanceId: string | undefined
  readonly tls: ConnectionOptions | undefined
  readonly state: Required<KafkaStateOptions> | undefined
}

const stateDefaults = { topic: 'millrace.state', recordBytesMax: 64 * 1024 * 1024 } as const
const stateRecordBytes = { min: 1024, max: 64 * 1024 * 1024 } as const

const defaults = {
  clientId: 'millrace',
  prefix: '',
  groupProtocol: 'auto',
  replicationFactor: null,
  topicSettings: {},
  contentMode: 'binary',
  transactionTimeoutMs: 15_000,
  heartbeatIntervalMs: 1000,
  groupSessionTimeoutMs: 45_000,
  offsetMetadataBytesMax: 4096,
  connectTimeoutMs: 5000,
  requestTimeoutMs: 30_000,
  reconnectTimeoutMs: null,
  metadataMaxAgeMs: 30_000,
  bufferBytesMax: 64 * 1024 * 1024,
} as const

/** Ranges of the options that are whole numbers. */
const ranges: Readonly<Record<string, readonly [min: number, max: number]>> = {
  transactionTimeoutMs: [1000, 900_000],
  heartbeatIntervalMs: [50, 60_000],
  groupSessionTimeoutMs: [1000, 3_600_000],
  offsetMetadataBytesMax: [64, 32_767],
  connectTimeoutMs: [100, 300_000],
  requestTimeoutMs: [1000, 1_800_000],
  callTimeoutMs: [1000, 3_600_000],
  metadataMaxAgeMs: [100, 3_600_000],
  bufferBytesMax: [64 * 1024, 4 * 1024 ** 3],
}

const known: ReadonlySet<string> = new Set([
  'brokers',
  'transactionalIdPrefix',
  'instanceId',
  'sasl',
  'tls',
  'state',
  'callTimeoutMs',
  ...Object.keys(defaults),
])

/** Fills in the defaults. @throws OptionsInvalidError naming every bad option. */
export function resolveKafkaOptions(options: KafkaOptions): ResolvedKafkaOptions {
  if (typeof options !== 'object' || options === null) {
    throw new OptionsInvalidError('kafka()', [{ option: 'options', problem: 'is no object' }])
  }
  const given = withoutUndefined(options)
  const { requestTimeoutMs = defaults.requestTimeoutMs } = given
  const resolved = { ...defaults, callTimeoutMs: 2 * requestTimeoutMs, ...given }
  const problems: OptionProblem[] = []
  const refuse = (option: string, problem: string): number => problems.push({ option, problem })
  for (const option of Object.keys(given)) if (!known.has(option)) refuse(option, 'is no option of kafka()')
  checkBrokers(resolved.brokers, refuse)
  for (const option of ['clientId', 'transactionalIdPrefix', 'instanceId'] as const) {
    const value = resolved[option]
    if (value === undefined) continue
    if (typeof value !== 'string' || value === '' || value.length > 200)
      refuse(option, 'is no name of 1 to 200 characters')
  }
  if (typeof resolved.prefix !== 'string' || !/^[a-zA-Z0-9._-]{0,100}$/.test(resolved.prefix)) {
    refuse('prefix', 'is not up to 100 letters, digits, dots, underscores and hyphens')
  }
  for (const [option, [min, max]] of Object.entries(ranges)) {
    if (!(option in given)) continue
    const value = (resolved as Record<string, unknown>)[option]
    if (!isWhole(value, min, max)) refuse(option, `is ${String(value)}, not a whole number from ${min} to ${max}`)
  }
  const { replicationFactor, reconnectTimeoutMs, groupProtocol } = resolved
  if (replicationFactor !== null && !isWhole(replicationFactor, 1, 32_767)) {
    refuse('replicationFactor', 'is neither null nor a whole number from 1 to 32767')
  }
  const { topicSettings } = resolved
  const problem = typeof topicSettings === 'function' ? undefined : topicSettingsProblem(topicSettings)
  if (problem !== undefined) refuse('topicSettings', problem)
  if (reconnectTimeoutMs !== null && !isWhole(reconnectTimeoutMs, 0, Number.MAX_SAFE_INTEGER)) {
    refuse('reconnectTimeoutMs', 'is neither null nor a whole number of milliseconds')
  }
  if (!['auto', 'consumer', 'classic'].includes(groupProtocol)) {
    refuse('groupProtocol', "is not 'auto', 'consumer' or 'classic'")
  }
  if (!['binary', 'structured'].includes(resolved.contentMode)) refuse('contentMode', "is not 'binary' or 'structured'")
  checkSasl(resolved.sasl, refuse)
  const { tls = false } = resolved
  if (typeof tls !== 'boolean' && (typeof tls !== 'object' || tls === null))
    refuse('tls', 'is neither boolean nor options')
  checkState(resolved.state, refuse)
  if (problems.length > 0) throw new OptionsInvalidError('kafka()', problems)
  return {
    ...resolved,
    transactionalIdPrefix: resolved.transactionalIdPrefix ?? resolved.clientId,
    instanceId: resolved.instanceId,
    sasl: resolved.sasl,
    tls: tls === false ? undefined : tls === true ? {} : tls,
    state: resolved.state && { ...stateDefaults, ...withoutUndefined(resolved.state) },
  }
}

/** Host and port of an address; the port is behind the last colon, so that IPv6 addresses in brackets are fine. */
export function addressOf(broker: string): { readonly host: string; readonly port: number } | undefined {
  const match = /^(\[[\da-fA-F:]+\]|[^:\s]+):(\d{1,5})$/.exec(broker)
  const port = Number(match?.[2])
  if (match === null || port < 1 || port > 65_535) return undefined
  return { host: (match[1] as string).replace(/^\[|\]$/g, ''), port }
}

function checkBrokers(brokers: unknown, refuse: (option: string, problem: string) => number): void {
  if (!Array.isArray(brokers) || brokers.length === 0) {
    refuse('brokers', 'is no list of at least one address')
    return
  }
  for (const broker of brokers as unknown[]) {
    if (typeof broker === 'string' && addressOf(broker) !== undefined) continue
    refuse('brokers', `holds ${JSON.stringify(broker)}, which is no host:port`)
  }
}

function checkSasl(sasl: unknown, refuse: (option: string, problem: string) => number): void {
  if (sasl === undefined) return
  if (typeof sasl !== 'object' || sasl === null) {
    refuse('sasl', 'is no object')
    return
  }
  const { mechanism, username, password, token } = sasl as Record<string, unknown>
  const isSecret = (value: unknown): boolean => typeof value === 'string' || typeof value === 'function'
  if (mechanism === 'OAUTHBEARER') {
    if (!isSecret(token)) refuse('sasl.token', 'is neither text nor a function')
  } else if (mechanism === 'PLAIN' || mechanism === 'SCRAM-SHA-256' || mechanism === 'SCRAM-SHA-512') {
    if (typeof username !== 'string') refuse('sasl.username', 'is no text')
    if (!isSecret(password)) refuse('sasl.password', 'is neither text nor a function')
  } else refuse('sasl.mechanism', "is not 'PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512' or 'OAUTHBEARER'")
}

function checkState(state: unknown, refuse: (option: string, problem: string) => number): void {
  if (state === undefined) return
  if (typeof state !== 'object' || state === null) {
    refuse('state', 'is no object')
    return
  }
  const { folder, topic, recordBytesMax, ...others } = {
    folder: undefined,
    ...stateDefaults,
    ...withoutUndefined(state),
  }
  if (typeof folder !== 'string' || folder === '') refuse('state.folder', 'is no path')
  if (typeof topic !== 'string' || !/^[a-zA-Z0-9._-]{1,100}$/.test(topic)) {
    refuse('state.topic', 'is not 1 to 100 letters, digits, dots, underscores and hyphens')
  }
  const { min, max } = stateRecordBytes
  if (!isWhole(recordBytesMax, min, max)) {
    refuse('state.recordBytesMax', `is ${String(recordBytesMax)}, not a whole number from ${min} to ${max}`)
  }
  for (const other of Object.keys(others)) refuse(`state.${other}`, 'is no option of kafka()')
}

function withoutUndefined<Options extends object>(options: Options): Options {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Options
}

function isWhole(value: unknown, min: number, max: number): value is number {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= min && value <= max
}
