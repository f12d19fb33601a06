import { chmodSync, existsSync, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { provideTools } from '../debian-packages.ts'
import { ToolMissingError } from '../errors.ts'
import { firstAnswer } from '../first-answer.ts'
import type { Launch, NodePlace, ServerKind, ServerPlace } from '../server-kind.ts'
import { firstNode } from '../server-place.ts'

/** What it takes to connect to RabbitMQ. */
export interface RabbitmqConnection {
  readonly host: string
  /** AMQP 0-9-1 and 1.0. */
  readonly port: number
  /** The protocol of streams. */
  readonly streamPort: number
  readonly user: string
  readonly password: string
  /** For AMQP, all of the above in one. */
  readonly url: string
}

const host = '127.0.0.1'
const user = 'millrace'
const password = 'millrace-secret'
/** Not the one on the PATH, which writes where Debian's own server does. */
const program = '/usr/lib/rabbitmq/bin/rabbitmq-server'
/** Distances of the ports of a node from its first one, which is that of AMQP. */
const ports = { stream: 1, distribution: 2, epmd: 3 } as const

/** The settings of a node, as rabbitmq.conf has them. */
export function rabbitmqSettings({ port }: NodePlace): Record<string, string> {
  return {
    'listeners.tcp.1': `${host}:${port}`,
    'stream.listeners.tcp.1': `${host}:${port + ports.stream}`,
    'stream.advertised_host': host,
    'stream.advertised_port': String(port + ports.stream),
    default_user: user,
    default_pass: password,
    // It would stop all publishers on a machine whose disk is nearly full; tests write little.
    'disk_free_limit.absolute': '50MB',
    'log.console': 'true',
    'log.console.level': 'info',
    'log.file': 'false',
  }
}

/** Runs the node with a port mapper of its own, and ends both: else the mapper would outlive it. */
const script = `
epmd -address ${host} -port "$ERL_EPMD_PORT" & mapper=$!
"$0" & node=$!
trap 'kill -TERM $node' TERM
while kill -0 $node 2>/dev/null; do wait $node; done
kill $mapper
wait
`

const pathIn = ({ folder }: NodePlace, name: string): string => join(folder, name)

function prepareNode(place: ServerPlace, node: NodePlace): void {
  mkdirSync(node.dataFolder, { recursive: true })
  const settings = Object.entries({ ...rabbitmqSettings(node), ...place.settings })
  writeFileSync(pathIn(node, 'rabbitmq.conf'), settings.map(([name, value]) => `${name} = ${value}\n`).join(''))
  writeFileSync(pathIn(node, 'enabled_plugins'), '[rabbitmq_amqp1_0,rabbitmq_stream].\n')
  // Erlang's nodes prove with it that they belong together; it must be nobody else's to read.
  const cookie = pathIn(node, '.erlang.cookie')
  if (!existsSync(cookie)) writeFileSync(cookie, 'MILLRACE')
  chmodSync(cookie, 0o400)
}

/** RabbitMQ, from Debian, with data and a name of its own beside the system's. */
export const rabbitmq: ServerKind<RabbitmqConnection> = {
  name: 'rabbitmq',
  portOffset: 400,
  portsUsed: [0, ports.stream, ports.distribution, ports.epmd],
  nodeCountMax: 1,
  startTimeoutMs: 120_000,
  stopSignal: 'SIGTERM',
  stopTimeoutMs: 60_000,

  async install(_installedFolder, report) {
    await provideTools([{ program: 'rabbitmq-server', debianPackage: 'rabbitmq-server' }], report)
    if (!existsSync(program)) throw new ToolMissingError(['rabbitmq-server'], `There is no ${program}.`)
  },

  installation: () => Promise.resolve({ folders: [], programs: [program] }),

  async prepare(place) {
    for (const node of place.nodes) prepareNode(place, node)
  },

  async launch(_place, node): Promise<Launch> {
    return {
      command: 'sh',
      args: ['-c', script, program],
      env: {
        HOME: node.folder,
        ERL_EPMD_PORT: String(node.port + ports.epmd),
        RABBITMQ_NODENAME: `millrace-${node.port}@localhost`,
        RABBITMQ_DIST_PORT: String(node.port + ports.distribution),
        RABBITMQ_CONFIG_FILE: pathIn(node, 'rabbitmq.conf'),
        RABBITMQ_ENABLED_PLUGINS_FILE: pathIn(node, 'enabled_plugins'),
        RABBITMQ_MNESIA_BASE: node.dataFolder,
        RABBITMQ_LOG_BASE: node.folder,
        RABBITMQ_PID_FILE: pathIn(node, 'rabbitmq.pid'),
        RABBITMQ_SERVER_ADDITIONAL_ERL_ARGS: `-kernel inet_dist_use_interface {127,0,0,1}`,
      },
    }
  },

  async probe(_place, { port }) {
    // AMQP 0-9-1, section 4.2.2: the server answers the protocol header with a method, or with the header that it wants.
    const answer = await firstAnswer(port, Buffer.from('AMQP\x00\x00\x09\x01', 'latin1'), /^.{7}/s)
    if (!answer.startsWith('\x01')) throw new Error(`RabbitMQ answers ${JSON.stringify(answer)}.`)
  },

  complete: () => Promise.resolve(),

  connection(place) {
    const { port } = firstNode(place)
    const url = `amqp://${user}:${password}@${host}:${port}`
    return { host, port, streamPort: port + ports.stream, user, password, url }
  },

  describe: ({ url, streamPort }) => [`AMQP           ${url}`, `streams        ${host}:${streamPort}`],
}
