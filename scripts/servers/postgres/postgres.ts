import {
  chmodSync,
  chownSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs'
import { dirname, join } from 'node:path'
import pg from 'pg'
import { ServerFolderError } from '../errors.ts'
import { partialFolderFor } from '../partial-folder.ts'
import { runCommand, tryCommand } from '../run-command.ts'
import type { Launch, NodePlace, Report, ServerKind, ServerPlace } from '../server-kind.ts'
import { firstNode } from '../server-place.ts'
import { provideTlsFiles, tlsFilesIn } from '../tls-files.ts'
import { postgresMajor, postgresPrograms, postgresUser, providePostgres } from './postgres-programs.ts'

/** What it takes to connect to PostgreSQL. */
export interface PostgresConnection {
  readonly host: string
  readonly port: number
  readonly database: string
  /** May create databases and read by logical replication, but is no superuser. */
  readonly user: string
  readonly password: string
  /** All of the above in one. */
  readonly url: string
  /** The same user as it need not be: no superuser either, and asked for no password. */
  readonly trustedUrl: string
  readonly superuserUrl: string
  readonly tls: { readonly caPath: string }
}

const host = '127.0.0.1'
const database = 'millrace'
const roles = {
  owner: { user: 'millrace', password: 'millrace-secret' },
  trusted: { user: 'millrace_trusted', password: '' },
  superuser: { user: 'postgres', password: 'postgres-secret' },
} as const
const probeTimeoutMs = 3_000

// Loopback only, and never the superuser without a password: it may run programs on this machine.
const hostBasedAuthentication = `host all ${roles.trusted.user} 127.0.0.1/32 trust
host replication ${roles.trusted.user} 127.0.0.1/32 trust
host all all 127.0.0.1/32 scram-sha-256
host replication all 127.0.0.1/32 scram-sha-256
`

/** The settings of the server, as postgresql.conf has them. */
export function postgresSettings(port: number): Record<string, string> {
  return {
    listen_addresses: `'${host}'`,
    port: String(port),
    unix_socket_directories: "''",
    max_connections: '200',
    shared_buffers: "'128MB'",
    // What is acknowledged survives a power cut: figures measured here mean something.
    fsync: 'on',
    synchronous_commit: 'on',
    wal_level: 'logical',
    max_wal_senders: '20',
    max_replication_slots: '20',
    ssl: 'on',
    ssl_cert_file: "'server.pem'",
    ssl_key_file: "'server.key'",
    ssl_ca_file: "'ca.pem'",
    timezone: "'UTC'",
    log_timezone: "'UTC'",
    log_line_prefix: "'%m [%p] %q%u@%d '",
    logging_collector: 'off',
  }
}

async function initialise(node: NodePlace, bin: string): Promise<void> {
  const user = await postgresUser()
  const passwordPath = join(node.folder, 'initial-password')
  const partial = partialFolderFor(node.dataFolder)
  writeFileSync(passwordPath, roles.superuser.password, { mode: 0o600 })
  if (user !== undefined) for (const path of [partial, passwordPath]) chownSync(path, user.uid, user.gid)
  const credentials = ['-U', roles.superuser.user, `--pwfile=${passwordPath}`, '--auth=scram-sha-256']
  const locale = ['--encoding=UTF8', '--locale=C.UTF-8']
  await runCommand(join(bin, 'initdb'), ['-D', partial, ...credentials, ...locale], { cwd: node.folder, ...user })
  rmSync(passwordPath)
  renameSync(partial, node.dataFolder)
}

/** Writes the files that PostgreSQL reads at its start, as the user that it runs as. */
async function configure(place: ServerPlace, node: NodePlace): Promise<void> {
  const user = await postgresUser()
  const tls = tlsFilesIn(place.installedFolder)
  const settings = Object.entries({ ...postgresSettings(node.port), ...place.settings }).map(
    ([name, value]) => `${name} = ${value}\n`,
  )
  const at = (name: string): string => join(node.dataFolder, name)
  writeFileSync(at('postgresql.conf'), settings.join(''))
  writeFileSync(at('pg_hba.conf'), hostBasedAuthentication)
  copyFileSync(tls.serverCertificatePath, at('server.pem'))
  copyFileSync(tls.serverKeyPath, at('server.key'))
  copyFileSync(tls.caPath, at('ca.pem'))
  for (const name of ['postgresql.conf', 'pg_hba.conf', 'server.pem', 'server.key', 'ca.pem']) {
    chmodSync(at(name), 0o600)
    if (user !== undefined) chownSync(at(name), user.uid, user.gid)
  }
}

/** Fails with `SERVER_FOLDER_UNFIT` if the user that PostgreSQL runs as may not go there. */
async function requireReach(folder: string): Promise<void> {
  const user = await postgresUser()
  const { exitCode } = await tryCommand('test', ['-x', folder], { cwd: '/', ...user })
  if (exitCode === 0) return
  const problem = `PostgreSQL runs as the user postgres, who may not reach ${folder}.`
  const remedy = 'Let MILLRACE_SERVERS_FOLDER name a folder whose parents everybody may pass through.'
  throw new ServerFolderError(folder, problem, remedy)
}

async function prepareNode(place: ServerPlace, node: NodePlace, report: Report): Promise<void> {
  mkdirSync(node.folder, { recursive: true })
  // Another user has to pass through, whatever the umask is.
  for (const folder of [dirname(place.folder), place.folder, node.folder]) chmodSync(folder, 0o711)
  const bin = await postgresPrograms()
  const versionPath = join(node.dataFolder, 'PG_VERSION')
  await requireReach(node.folder)
  if (!existsSync(versionPath)) {
    report('creating an empty cluster')
    await initialise(node, bin)
  }
  const found = readFileSync(versionPath, 'utf8').trim()
  const wanted = await postgresMajor(bin)
  if (found !== wanted) {
    const problem = `The data in ${node.dataFolder} are of PostgreSQL ${found}, and this machine has ${wanted}.`
    const remedy = 'Remove them with `npm run servers -- down postgres --delete-data`.'
    throw new ServerFolderError(node.dataFolder, problem, remedy)
  }
  await configure(place, node)
}

function urlOf({ port }: NodePlace, role: { readonly user: string; readonly password: string }, of: string): string {
  const secret = role.password === '' ? '' : `:${role.password}`
  return `postgres://${role.user}${secret}@${host}:${port}/${of}`
}

async function withClient<Result>(url: string, use: (client: pg.Client) => Promise<Result>): Promise<Result> {
  const client = new pg.Client({
    connectionString: url,
    connectionTimeoutMillis: probeTimeoutMs,
    query_timeout: probeTimeoutMs,
  })
  // A connection that breaks after its query was answered is nobody's concern.
  client.on('error', () => undefined)
  try {
    await client.connect()
    return await use(client)
  } finally {
    await client.end()
  }
}

/** Creates the roles and the database that are not there yet. */
async function createContents(node: NodePlace): Promise<void> {
  const { owner, trusted } = roles
  const attributes = 'LOGIN CREATEDB CREATEROLE REPLICATION'
  await withClient(urlOf(node, roles.superuser, 'postgres'), async (client) => {
    const create = async (catalog: string, column: string, name: string, statement: string): Promise<void> => {
      const { rowCount } = await client.query(`SELECT 1 FROM ${catalog} WHERE ${column} = $1`, [name])
      if (rowCount === 0) await client.query(statement)
    }
    const ownerRole = `CREATE ROLE ${owner.user} ${attributes} PASSWORD '${owner.password}'`
    await create('pg_roles', 'rolname', owner.user, ownerRole)
    const trustedRole = `CREATE ROLE ${trusted.user} ${attributes} IN ROLE ${owner.user}`
    await create('pg_roles', 'rolname', trusted.user, trustedRole)
    await create('pg_database', 'datname', database, `CREATE DATABASE ${database} OWNER ${owner.user}`)
  })
}

/** PostgreSQL, from Debian, with a cluster of its own beside the system's. */
export const postgres: ServerKind<PostgresConnection> = {
  name: 'postgres',
  portOffset: 100,
  portsUsed: [0],
  nodeCountMax: 1,
  startTimeoutMs: 120_000,
  // "Fast shutdown": sessions are ended, a checkpoint is written.
  stopSignal: 'SIGINT',
  stopTimeoutMs: 60_000,

  async install(installedFolder, report) {
    await providePostgres(report)
    await provideTlsFiles(installedFolder)
  },

  async installation() {
    return { folders: [], programs: [join(await postgresPrograms(), 'postgres')] }
  },

  async prepare(place, report) {
    for (const node of place.nodes) await prepareNode(place, node, report)
  },

  async launch(_place, node): Promise<Launch> {
    const user = await postgresUser()
    // A process that was killed and that nobody has reaped yet still counts to PostgreSQL; here it is known to have ended.
    rmSync(join(node.dataFolder, 'postmaster.pid'), { force: true })
    return { command: join(await postgresPrograms(), 'postgres'), args: ['-D', node.dataFolder], ...user }
  },

  async probe(_place, node) {
    await withClient(urlOf(node, roles.superuser, 'postgres'), (client) => client.query('SELECT 1'))
  },

  complete: (place) => createContents(firstNode(place)),

  connection(place) {
    const node = firstNode(place)
    return {
      host,
      port: node.port,
      database,
      ...roles.owner,
      url: urlOf(node, roles.owner, database),
      trustedUrl: urlOf(node, roles.trusted, database),
      superuserUrl: urlOf(node, roles.superuser, database),
      tls: { caPath: tlsFilesIn(place.installedFolder).caPath },
    }
  },

  describe({ url, trustedUrl, superuserUrl, tls }) {
    return [
      `owner          ${url}`,
      `no password    ${trustedUrl}`,
      `superuser      ${superuserUrl}`,
      `authority      ${tls.caPath}`,
    ]
  },
}
