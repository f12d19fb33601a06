import type { NodePlace, ServerPlace } from '../server-kind.ts'
import { tlsFilesIn } from '../tls-files.ts'

/** What each listener speaks, and how far its port is from the node's first one. */
export const listenerPorts = {
  PLAINTEXT: 0,
  SASL_PLAINTEXT: 1,
  SASL_SSL: 2,
  SSL: 3,
  PROXIED: 4,
  CONTROLLER: 9,
} as const

/**
 * Where clients of the listener PROXIED are sent, as distance from the node's first port: nothing listens there but what a
 * test puts between, which then sees all of a client's connections, also those to brokers that it was told of.
 */
export const proxyPort = 5

/** Every way to log in that the SASL listeners know. */
export const saslMechanisms = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const

/** The one user, for all mechanisms. These servers listen on loopback only and hold nothing worth a secret. */
export const saslUser = { username: 'millrace', password: 'millrace-secret' } as const

const security = 'org.apache.kafka.common.security'
const loginModules: Readonly<Record<(typeof saslMechanisms)[number], string>> = {
  PLAIN: `${security}.plain.PlainLoginModule required user_${saslUser.username}="${saslUser.password}";`,
  'SCRAM-SHA-256': `${security}.scram.ScramLoginModule required;`,
  'SCRAM-SHA-512': `${security}.scram.ScramLoginModule required;`,
  // Takes tokens that nobody signed (RFC 7519, section 6): enough to test a client with.
  OAUTHBEARER: `${security}.oauthbearer.OAuthBearerLoginModule required unsecuredLoginStringClaim_sub="${saslUser.username}";`,
}

/** Few partitions of the internal topics: each costs files and time at every start. */
const internalPartitionCount = '8'
// The shortest that groups may ask for; what they get without asking stays as Kafka has it.
const groupTimeoutMsMin = '1000'
const groupHeartbeatMsMin = '100'

function replication(nodeCount: number): Record<string, string> {
  const replicas = String(Math.min(3, nodeCount))
  const inSyncMin = String(nodeCount >= 3 ? 2 : 1)
  return {
    'default.replication.factor': replicas,
    'min.insync.replicas': inSyncMin,
    'offsets.topic.replication.factor': replicas,
    'offsets.topic.num.partitions': internalPartitionCount,
    'transaction.state.log.replication.factor': replicas,
    'transaction.state.log.min.isr': inSyncMin,
    'transaction.state.log.num.partitions': internalPartitionCount,
    'share.coordinator.state.topic.replication.factor': replicas,
    'share.coordinator.state.topic.min.isr': inSyncMin,
    'share.coordinator.state.topic.num.partitions': internalPartitionCount,
  }
}

function saslListeners(): Record<string, string> {
  const settings: Record<string, string> = { 'sasl.enabled.mechanisms': saslMechanisms.join(',') }
  for (const listener of ['sasl_plaintext', 'sasl_ssl'])
    for (const mechanism of saslMechanisms)
      settings[`listener.name.${listener}.${mechanism.toLowerCase()}.sasl.jaas.config`] = loginModules[mechanism]
  return settings
}

function tls(installedFolder: string): Record<string, string> {
  const { caPath, serverKeystorePath } = tlsFilesIn(installedFolder)
  return {
    'ssl.keystore.type': 'PEM',
    'ssl.keystore.location': serverKeystorePath,
    'ssl.truststore.type': 'PEM',
    'ssl.truststore.location': caPath,
    // A client may show a certificate, and is then known by it.
    'listener.name.ssl.ssl.client.auth': 'requested',
  }
}

/** The settings of one node, each with a reason where it differs from what Kafka would do by itself. */
export function serverSettings(place: ServerPlace, node: NodePlace): Record<string, string> {
  const names = Object.keys(listenerPorts) as (keyof typeof listenerPorts)[]
  const controllerPort = (of: NodePlace): number => of.port + listenerPorts.CONTROLLER
  return {
    'process.roles': 'broker,controller',
    'node.id': String(node.number),
    'controller.quorum.voters': place.nodes.map((of) => `${of.number}@127.0.0.1:${controllerPort(of)}`).join(','),
    listeners: names.map((name) => `${name}://127.0.0.1:${node.port + listenerPorts[name]}`).join(','),
    'advertised.listeners': names
      .filter((name) => name !== 'CONTROLLER')
      .map((name) => `${name}://127.0.0.1:${node.port + (name === 'PROXIED' ? proxyPort : listenerPorts[name])}`)
      .join(','),
    'listener.security.protocol.map': names
      .map((name) => `${name}:${name === 'CONTROLLER' || name === 'PROXIED' ? 'PLAINTEXT' : name}`)
      .join(','),
    'controller.listener.names': 'CONTROLLER',
    'inter.broker.listener.name': 'PLAINTEXT',
    'log.dirs': node.dataFolder,
    ...replication(place.nodes.length),
    ...saslListeners(),
    ...tls(place.installedFolder),
    // A misspelt topic is to be an error.
    'auto.create.topics.enable': 'false',
    // A group's first member need not wait for others.
    'group.initial.rebalance.delay.ms': '0',
    'group.min.session.timeout.ms': groupTimeoutMsMin,
    'group.consumer.min.session.timeout.ms': groupTimeoutMsMin,
    'group.consumer.min.heartbeat.interval.ms': groupHeartbeatMsMin,
    // A broker that was killed is let in again when its earlier session is over: by itself, that takes 9 s.
    'broker.session.timeout.ms': '4000',
    'broker.heartbeat.interval.ms': '500',
    // Tests wait for the end of transactions whose producer is gone, and for compaction.
    'transaction.abort.timed.out.transaction.cleanup.interval.ms': '1000',
    'log.initial.task.delay.ms': '1000',
    'log.cleaner.backoff.ms': '1000',
    'log.retention.check.interval.ms': '5000',
    // The buffer of the cleaner is taken from the heap at once, and the heap is small.
    'log.cleaner.dedupe.buffer.size': '16777216',
    ...place.settings,
  }
}

/** As a file of Java properties. */
export function propertiesText(settings: Readonly<Record<string, string>>): string {
  return Object.entries(settings)
    .map(([name, value]) => `${name}=${value.replaceAll('\\', '\\\\')}\n`)
    .join('')
}

/** Log4j: warnings, and what Kafka says of its own start and end, on the process's output. */
export const loggingProperties = `status = error
appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d %p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
logger.config.name = org.apache.kafka.common.config.AbstractConfig
logger.config.level = warn
`
