import { randomBytes } from 'node:crypto'
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Admin } from '@platformatic/kafka'
import { runCommand } from '../run-command.ts'
import type { Launch, NodePlace, Report, ServerKind, ServerPlace } from '../server-kind.ts'
import { provideTlsFiles, tlsFilesIn } from '../tls-files.ts'
import { javaCommand, kafkaFolderIn, kafkaVersion, provideKafka } from './kafka-programs.ts'
import {
  listenerPorts,
  loggingProperties,
  propertiesText,
  proxyPort,
  saslMechanisms,
  saslUser,
  serverSettings,
} from './server-properties.ts'

/** What it takes to connect to Kafka. Each list has one `host:port` a node. */
export interface KafkaConnection {
  readonly version: string
  /** Plain text, nobody asked who he is. */
  readonly bootstrapBrokers: readonly string[]
  readonly listeners: {
    readonly saslPlaintext: readonly string[]
    readonly saslSsl: readonly string[]
    /** Takes clients with a certificate and without. */
    readonly ssl: readonly string[]
  }
  /** Plain text too: where a proxy has to listen, and where it has to go on to. */
  readonly proxied: readonly { readonly port: number; readonly upstreamPort: number }[]
  readonly sasl: {
    /** All of them on both SASL listeners. OAUTHBEARER takes unsigned tokens with `sub`, `iat` and `exp`. */
    readonly mechanisms: readonly string[]
    readonly username: string
    readonly password: string
  }
  readonly tls: {
    readonly caPath: string
    readonly clientCertificatePath: string
    readonly clientKeyPath: string
  }
}

/** Heap of a node, in MiB: it unpacks what came compressed with snappy all at once, and tests send it far too much of that. */
const heapMb = 1024
const startTimeoutMs = 120_000
const probeTimeoutMs = 3_000
const clusterIdBytes = 16

/** For what runs briefly: optimising it would take longer. A node takes 4.5 s of a processor to start so, not 7.5. */
const briefArgs = ['-XX:TieredStopAtLevel=1', '-XX:+UseSerialGC']

const propertiesPath = (node: NodePlace): string => join(node.folder, 'server.properties')

function javaArgs(place: ServerPlace, mainClass: string): string[] {
  const classPath = join(kafkaFolderIn(place.installedFolder), 'lib', '*')
  const logging = `-Dlog4j2.configurationFile=${join(place.folder, 'log4j2.properties')}`
  return [logging, '-Djava.awt.headless=true', '-cp', classPath, mainClass]
}

/** It is given on a command line, where what begins with a hyphen would be taken for an option. */
function freshClusterId(): string {
  for (;;) {
    const id = randomBytes(clusterIdBytes).toString('base64url')
    if (!id.startsWith('-')) return id
  }
}

/** Nodes find each other by it, so all have the same, and keep it as long as their data. */
function clusterIdOf(place: ServerPlace): string {
  const path = join(place.folder, 'cluster-id')
  if (!existsSync(path)) {
    writeFileSync(`${path}.partial`, freshClusterId())
    renameSync(`${path}.partial`, path)
  }
  return readFileSync(path, 'utf8')
}

async function prepareNode(place: ServerPlace, node: NodePlace, report: Report): Promise<void> {
  mkdirSync(node.folder, { recursive: true })
  writeFileSync(propertiesPath(node), propertiesText(serverSettings(place, node)))
  // Kafka reads what an earlier version wrote, not what a later one did; these data are worth no difference.
  const formattedPath = join(node.folder, `formatted-${kafkaVersion}`)
  if (existsSync(formattedPath)) return
  rmSync(node.dataFolder, { recursive: true, force: true })
  report(`formatting the data folder of node ${node.number}`)
  const credentials = ['SCRAM-SHA-256', 'SCRAM-SHA-512'].flatMap((mechanism) => [
    '--add-scram',
    `${mechanism}=[name=${saslUser.username},password=${saslUser.password}]`,
  ])
  const format = ['format', '-t', clusterIdOf(place), '-c', propertiesPath(node), ...credentials]
  await runCommand(javaCommand(), [...briefArgs, '-Xmx128m', ...javaArgs(place, 'kafka.tools.StorageTool'), ...format])
  writeFileSync(formattedPath, '')
}

/** The numbers of the nodes that this node says belong to the cluster. */
async function clusterSeenBy(node: NodePlace): Promise<number[]> {
  const admin = new Admin({
    clientId: 'millrace-servers',
    bootstrapBrokers: [`127.0.0.1:${node.port}`],
    retries: false,
    connectTimeout: probeTimeoutMs,
    requestTimeout: probeTimeoutMs,
    timeout: probeTimeoutMs,
  })
  try {
    const { brokers } = await admin.metadata({ topics: [], retries: 0 })
    return [...brokers.keys()]
  } finally {
    await admin.close()
  }
}

const addresses = (place: ServerPlace, listener: keyof typeof listenerPorts): string[] =>
  place.nodes.map((node) => `127.0.0.1:${node.port + listenerPorts[listener]}`)

/** Apache Kafka in KRaft mode, each node broker and controller at once. */
export const kafka: ServerKind<KafkaConnection> = {
  name: 'kafka',
  portOffset: 0,
  portsUsed: Object.values(listenerPorts),
  nodeCountMax: 9,
  startTimeoutMs,
  stopSignal: 'SIGTERM',
  // Nodes that end at the same time may wait for each other; their data do not need a good end.
  stopTimeoutMs: 20_000,

  async install(installedFolder, report) {
    await provideKafka(installedFolder, report)
    await provideTlsFiles(installedFolder)
  },

  installation: (installedFolder) =>
    Promise.resolve({ folders: [kafkaFolderIn(installedFolder)], programs: [javaCommand()] }),

  async prepare(place, report) {
    writeFileSync(join(place.folder, 'log4j2.properties'), loggingProperties)
    clusterIdOf(place)
    await Promise.all(place.nodes.map((node) => prepareNode(place, node, report)))
  },

  async launch(place, node): Promise<Launch> {
    const heap = [`-Xms${heapMb / 2}m`, `-Xmx${heapMb}m`]
    const brief = place.isBrief === true ? briefArgs : []
    return {
      command: javaCommand(),
      args: [...heap, ...brief, ...javaArgs(place, 'kafka.Kafka'), propertiesPath(node)],
    }
  },

  async probe(_place, node) {
    const seen = await clusterSeenBy(node)
    if (!seen.includes(node.number)) throw new Error(`Node ${node.number} does not belong to the cluster yet.`)
  },

  async complete(place) {
    for (const node of place.nodes) {
      const seen = await clusterSeenBy(node)
      if (seen.length < place.nodes.length)
        throw new Error(`Node ${node.number} sees only the nodes ${seen.join(', ')}.`)
    }
  },

  connection(place) {
    const { caPath, clientCertificatePath, clientKeyPath } = tlsFilesIn(place.installedFolder)
    return {
      version: kafkaVersion,
      bootstrapBrokers: addresses(place, 'PLAINTEXT'),
      listeners: {
        saslPlaintext: addresses(place, 'SASL_PLAINTEXT'),
        saslSsl: addresses(place, 'SASL_SSL'),
        ssl: addresses(place, 'SSL'),
      },
      proxied: place.nodes.map(({ port }) => ({
        port: port + proxyPort,
        upstreamPort: port + listenerPorts.PROXIED,
      })),
      sasl: { mechanisms: saslMechanisms, ...saslUser },
      tls: { caPath, clientCertificatePath, clientKeyPath },
    }
  },

  describe({ version, bootstrapBrokers, listeners, sasl, tls }) {
    return [
      `version        ${version}`,
      `plain text     ${bootstrapBrokers.join(',')}`,
      `SASL           ${listeners.saslPlaintext.join(',')}`,
      `SASL over TLS  ${listeners.saslSsl.join(',')}`,
      `TLS            ${listeners.ssl.join(',')}`,
      `log in         ${sasl.username} / ${sasl.password} by ${sasl.mechanisms.join(', ')}`,
      `authority      ${tls.caPath}`,
    ]
  },
}
