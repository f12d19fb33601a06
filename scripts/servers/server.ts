import { mkdirSync, rmSync } from 'node:fs'
import { setTimeout as wait } from 'node:timers/promises'
import { ServerFolderError, ServerSettingsError, ServerStartError, ServerUsageError } from './errors.ts'
import { withFolderLock } from './folder-lock.ts'
import { type ConnectionOf, kindOf, type ServerName } from './kinds.ts'
import { logTail } from './log-tail.ts'
import type { Report, ServerKind, ServerPlace } from './server-kind.ts'
import { type NodeState, ServerNode } from './server-node.ts'
import { knownPlaces, type PlaceOptions, placeOf, provideFolder, resolveServersRoot } from './server-place.ts'

/** How a server is started. */
export interface StartOptions extends PlaceOptions {
  /** Default 1. */
  readonly nodeCount?: number
  /** Settings in the server's own words, for nodes that do not run yet. Default: none but those that every server has. */
  readonly settings?: Readonly<Record<string, string>>
  /** It runs for minutes only, so nothing is done at its start that pays off later. Default false. */
  readonly isBrief?: boolean
  /** Default: says nothing. */
  readonly report?: Report
}

/** How a server is stopped. */
export interface StopOptions extends PlaceOptions {
  /** Removes the data of the server too. Default `false`: it goes on with them when it is started again. */
  readonly deleteData?: boolean
  readonly report?: Report
}

/** A server that was started and found in order. */
export interface RunningServer<Connection> {
  readonly name: ServerName
  readonly connection: Connection
  /** Each node's process, to kill, pause and start; from node 1. */
  readonly nodes: readonly ServerNode[]
  /** Waits until every node answers and they work together. Fails with `SERVER_START_FAILED`. */
  waitUntilReady(): Promise<void>
  /** Stops all nodes in good order; the data stay. */
  stop(): Promise<void>
}

/** `ready`: every node answers; `impaired`: not all of them; `stopped`: none has a process. */
export type ServerState = 'ready' | 'impaired' | 'stopped'

/** What `status` tells of a server. */
export interface ServerStatus<Connection> {
  readonly name: ServerName
  readonly state: ServerState
  readonly nodes: readonly {
    readonly number: number
    readonly state: NodeState
    readonly pid?: number
    readonly logPath: string
  }[]
  /** There while the server has a process. */
  readonly connection?: Connection
}

const completeIntervalMs = 100
const silent: Report = () => undefined

const nodesOf = (kind: ServerKind, place: ServerPlace): ServerNode[] =>
  place.nodes.map((node) => new ServerNode(kind, place, node))

const isRunning = (kind: ServerKind, place: ServerPlace): boolean =>
  nodesOf(kind, place).some((node) => node.state() !== 'stopped')

const countText = (count: number): string => `${count} ${count === 1 ? 'node' : 'nodes'}`

/**
 * Installs a server if need be, starts what of it does not run, and waits until it answers. A server that runs is left
 * alone. It goes on when this process ends: {@link stopServer} stops it, from any process.
 *
 * Fails with `SERVER_USAGE`, `SERVER_TOOL_MISSING`, `SERVER_TOOL_UNFIT`, `SERVER_INSTALL_FAILED`, `SERVER_PORT_TAKEN`,
 * `SERVER_START_FAILED`, `SERVER_SETTINGS_DIFFER` and `SERVER_FOLDER_UNFIT`.
 *
 * @example
 * ```ts
 * const postgres = await startServer('postgres')
 * const client = new pg.Client({ connectionString: postgres.connection.url })
 * ```
 */
export async function startServer<Name extends ServerName>(
  name: Name,
  options: StartOptions = {},
): Promise<RunningServer<ConnectionOf<Name>>> {
  const kind = kindOf(name)
  const { nodeCount = 1, settings = {}, isBrief = false, report = silent } = options
  if (!Number.isInteger(nodeCount) || nodeCount < 1 || nodeCount > kind.nodeCountMax)
    throw new ServerUsageError(`${name} can have 1 to ${countText(kind.nodeCountMax)}, not ${nodeCount}.`)
  if (process.platform !== 'linux')
    throw new ServerUsageError(`Real servers are started on Linux only, and this is ${process.platform}.`)
  const root = resolveServersRoot(options)
  provideFolder(root)
  const place = { ...placeOf(root, kind, nodeCount), settings, isBrief }
  const other = knownPlaces(root, kind).find((known) => known.nodes.length !== nodeCount && isRunning(kind, known))
  if (other !== undefined) throw new ServerSettingsError(name, countText(other.nodes.length), countText(nodeCount))
  const nodes = nodesOf(kind, place)
  const waitUntilReady = (): Promise<void> => readiness(kind, place, nodes)
  try {
    mkdirSync(place.folder, { recursive: true })
    await withFolderLock(place.folder, report, async () => {
      if (nodes.some((node) => node.state() === 'stopped')) {
        await withFolderLock(root.installedFolder, report, () => kind.install(root.installedFolder, report))
        await kind.prepare(place, report)
      }
      await startNodes(nodes, report)
      await waitUntilReady()
    })
  } catch (error) {
    throw diskError(error, root.folder)
  }
  const connection = kind.connection(place) as ConnectionOf<Name>
  return { name, connection, nodes, waitUntilReady, stop: () => stopNodes(nodes) }
}

async function startNodes(nodes: readonly ServerNode[], report: Report): Promise<void> {
  for (const node of nodes) {
    if (node.state() === 'running') continue
    await node.start({ wait: false })
    report(`${node.title} started as process ${node.pid ?? '?'}; its log is ${node.logPath}`)
  }
}

async function readiness(kind: ServerKind, place: ServerPlace, nodes: readonly ServerNode[]): Promise<void> {
  await Promise.all(nodes.map((node) => node.waitUntilAnswering()))
  const endMs = performance.now() + kind.startTimeoutMs
  for (;;) {
    try {
      return await kind.complete(place)
    } catch (cause) {
      const path = nodes[0]?.logPath ?? place.folder
      if (performance.now() > endMs)
        throw new ServerStartError(place.name, 'answers but is not in order', path, logTail(path), { cause })
    }
    await wait(completeIntervalMs)
  }
}

/** The plain error of a full disk as one that says what to do; anything else as it is. */
function diskError(error: unknown, folder: string): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (code !== 'ENOSPC' && code !== 'EDQUOT') return error
  const problem = `The disk of ${folder} is full.`
  const remedy = 'Free about 1 GB there, or name another folder in MILLRACE_SERVERS_FOLDER.'
  return new ServerFolderError(folder, problem, remedy, { cause: error })
}

const stopNodes = async (nodes: readonly ServerNode[]): Promise<void> => {
  await Promise.all(nodes.map((node) => node.stop()))
}

/** Stops a server, whichever process started it. Answers how many of its nodes had to be stopped. */
export async function stopServer(name: ServerName, options: StopOptions = {}): Promise<number> {
  const kind = kindOf(name)
  const { report = silent, deleteData = false } = options
  let stoppedCount = 0
  for (const place of knownPlaces(resolveServersRoot(options), kind)) {
    await withFolderLock(place.folder, report, async () => {
      const nodes = nodesOf(kind, place)
      const running = nodes.filter((node) => node.state() !== 'stopped')
      await stopNodes(nodes)
      for (const node of running) report(`${node.title} stopped`)
      stoppedCount += running.length
    })
    if (deleteData) rmSync(place.folder, { recursive: true, force: true })
  }
  return stoppedCount
}

/** Looks a server up, whichever process started it. */
export async function serverStatus<Name extends ServerName>(
  name: Name,
  options: PlaceOptions = {},
): Promise<ServerStatus<ConnectionOf<Name>>> {
  const kind = kindOf(name)
  const places = knownPlaces(resolveServersRoot(options), kind)
  const place = places.find((known) => isRunning(kind, known)) ?? places[0]
  if (place === undefined) return { name, state: 'stopped', nodes: [] }
  const nodes = nodesOf(kind, place)
  const answers = await Promise.all(nodes.map((node) => node.answers()))
  const found = nodes.map((node) => {
    const { pid } = node
    return { number: node.number, state: node.state(), ...(pid === undefined ? {} : { pid }), logPath: node.logPath }
  })
  if (found.every(({ state }) => state === 'stopped')) return { name, state: 'stopped', nodes: found }
  const state = answers.every(Boolean) ? 'ready' : 'impaired'
  return { name, state, nodes: found, connection: kind.connection(place) as ConnectionOf<Name> }
}
