import { chmodSync, lstatSync, mkdirSync, readdirSync } from 'node:fs'
import { tmpdir, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import { ServerFolderError, ServerUsageError } from './errors.ts'
import type { NodePlace, ServerKind, ServerPlace } from './server-kind.ts'

/** Where servers keep their files, and where they listen. */
export interface PlaceOptions {
  /**
   * The scratch folder. Default: `MILLRACE_SERVERS_FOLDER`, else `millrace-servers-<user id>` in the machine's folder for
   * temporary files. Not in the project: PostgreSQL runs as a user of its own, who may not be allowed to go there.
   */
  readonly folder?: string
  /**
   * First port of all. Default `MILLRACE_SERVERS_PORT_BASE`, else 19000, which is below the ports that systems hand out by
   * themselves. Servers with different bases are different servers with different data.
   */
  readonly portBase?: number
}

/** Place options with every default filled in. */
export interface ServersRoot {
  readonly folder: string
  readonly installedFolder: string
  readonly portBase: number
}

const portBaseDefault = 19_000
const portBaseMin = 1024
// Every kind has 100 ports, and there is room for 30 of them.
const portBaseMax = 62_000
const portsPerNode = 10

/** Fills in the defaults. Fails with `SERVER_USAGE` on a port base that cannot be one. */
export function resolveServersRoot(
  options: PlaceOptions,
  env: Readonly<Record<string, string | undefined>> = process.env,
): ServersRoot {
  const portBase = options.portBase ?? Number(env['MILLRACE_SERVERS_PORT_BASE'] ?? portBaseDefault)
  if (!Number.isInteger(portBase) || portBase < portBaseMin || portBase > portBaseMax)
    throw new ServerUsageError(`The port base must be a whole number from ${portBaseMin} to ${portBaseMax}.`)
  const usual = join(tmpdir(), `millrace-servers-${userInfo().uid}`)
  const folder = resolve(options.folder ?? env['MILLRACE_SERVERS_FOLDER'] ?? usual)
  return { folder, installedFolder: join(folder, 'installed'), portBase }
}

/** Makes the scratch folder. Fails with `SERVER_FOLDER_UNFIT` if somebody else owns it or it cannot be written to. */
export function provideFolder({ folder, installedFolder }: ServersRoot): void {
  try {
    mkdirSync(installedFolder, { recursive: true })
  } catch (cause) {
    const problem = `The scratch folder ${folder} cannot be made: ${(cause as Error).message}.`
    throw new ServerFolderError(folder, problem, 'Name another one in MILLRACE_SERVERS_FOLDER.', { cause })
  }
  const found = lstatSync(folder)
  // A folder for temporary files is everybody's: what stands there under our name may be somebody else's trap.
  if (!found.isDirectory() || found.uid !== userInfo().uid) {
    const problem = `The scratch folder ${folder} does not belong to you.`
    throw new ServerFolderError(folder, problem, 'Name another one in MILLRACE_SERVERS_FOLDER.')
  }
  // Others may pass through, as PostgreSQL's user has to, but not look around.
  chmodSync(folder, 0o711)
}

/** Where a server of so many nodes lives. Servers of different node counts keep different data. */
export function placeOf(root: ServersRoot, kind: ServerKind, nodeCount: number): ServerPlace {
  const folder = join(root.folder, String(root.portBase), `${kind.name}-${nodeCount}`)
  const nodes = Array.from({ length: nodeCount }, (_, index): NodePlace => {
    const nodeFolder = join(folder, `node-${index + 1}`)
    return {
      number: index + 1,
      folder: nodeFolder,
      dataFolder: join(nodeFolder, 'data'),
      logPath: join(nodeFolder, 'server.log'),
      port: root.portBase + kind.portOffset + portsPerNode * index,
    }
  })
  return { name: kind.name, folder, installedFolder: root.installedFolder, nodes }
}

/** The only node of a kind that has one, or that which stands for all. */
export function firstNode({ nodes }: ServerPlace): NodePlace {
  return nodes[0] as NodePlace
}

/** The places of a kind that exist: one for each count of nodes that it was ever started with. */
export function knownPlaces(root: ServersRoot, kind: ServerKind): ServerPlace[] {
  let names: string[]
  try {
    names = readdirSync(join(root.folder, String(root.portBase)))
  } catch {
    return []
  }
  return names
    .map((name) => (name.startsWith(`${kind.name}-`) ? Number(name.slice(kind.name.length + 1)) : Number.NaN))
    .filter((nodeCount) => Number.isInteger(nodeCount))
    .sort((a, b) => a - b)
    .map((nodeCount) => placeOf(root, kind, nodeCount))
}
