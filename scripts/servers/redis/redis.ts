import { mkdirSync } from 'node:fs'
import { provideTools } from '../debian-packages.ts'
import { firstAnswer } from '../first-answer.ts'
import type { NodePlace, ServerKind } from '../server-kind.ts'
import { firstNode } from '../server-place.ts'

/** What it takes to connect to Redis. */
export interface RedisConnection {
  readonly host: string
  readonly port: number
  readonly password: string
  /** All of the above in one. */
  readonly url: string
}

const host = '127.0.0.1'
const password = 'millrace-secret'

/** The settings of a node, as redis.conf has them. */
export function redisSettings({ port, dataFolder }: NodePlace): Record<string, string> {
  return {
    bind: host,
    port: String(port),
    dir: dataFolder,
    requirepass: password,
    appendonly: 'yes',
    // What is acknowledged survives a power cut: figures measured here mean something.
    appendfsync: 'always',
    save: '',
    daemonize: 'no',
  }
}

/** Redis, from Debian. */
export const redis: ServerKind<RedisConnection> = {
  name: 'redis',
  portOffset: 200,
  portsUsed: [0],
  nodeCountMax: 1,
  startTimeoutMs: 60_000,
  stopSignal: 'SIGTERM',
  stopTimeoutMs: 60_000,

  async install(_installedFolder, report) {
    await provideTools([{ program: 'redis-server', debianPackage: 'redis-server' }], report)
  },

  installation: () => Promise.resolve({ folders: [], programs: ['redis-server'] }),

  async prepare(place) {
    for (const { dataFolder } of place.nodes) mkdirSync(dataFolder, { recursive: true })
  },

  async launch(place, node) {
    const settings = Object.entries({ ...redisSettings(node), ...place.settings })
    return { command: 'redis-server', args: settings.flatMap(([name, value]) => [`--${name}`, value]) }
  },

  async probe(_place, { port }) {
    const answer = await firstAnswer(port, `AUTH ${password}\r\nPING\r\n`, /\r\n[^\r]*\r\n/)
    if (!answer.includes('+PONG')) throw new Error(`Redis answers ${JSON.stringify(answer)}.`)
  },

  complete: () => Promise.resolve(),

  connection(place) {
    const { port } = firstNode(place)
    return { host, port, password, url: `redis://:${password}@${host}:${port}` }
  },

  describe: ({ url }) => [`connect        ${url}`],
}
