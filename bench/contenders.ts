import { join } from 'node:path'
import pg from 'pg'
import {
  type ConnectionOf,
  type RunningServer,
  type ServerName,
  startServer,
  stopServer,
} from '../scripts/servers/index.ts'

/** Servers of their own, which are removed with their data: as durable as Millrace, and as they come. */
const places = { durable: { portBase: 23_000 }, weaker: { portBase: 23_500 } } as const
type Place = keyof typeof places

/** `own`: Millrace. `rival`: as durable as Millrace. `weaker`: acknowledges what a power cut may take. */
export type Part = 'own' | 'rival' | 'weaker'

/** The server of a contender, which others may share. */
export interface ContenderServer {
  readonly name: ServerName
  /** Starts it, unless it runs. */
  start(): Promise<RunningServer<object>>
  /** Stops it, and removes its data. */
  remove(): Promise<void>
}

/** What a system is measured as. */
export interface Contender {
  readonly name: string
  /** A file in `bench/peers`. */
  readonly program: string
  readonly part: Part
  /** Nothing: the system is a library that keeps its files itself. */
  readonly server?: ContenderServer
  /** Starts the server if it does not run yet, and says what the program is called with. */
  args(folder: string): Promise<readonly string[]>
  /** The same with a server that it shares with nobody. Nothing: it has none. */
  apart?(portBase: number): Contender
  /** What makes it durable, or not, and is found to be so before anything is measured. */
  readonly settings: Readonly<Record<string, string>>
}

const ofPostgres = { fsync: 'on', synchronous_commit: 'on', full_page_writes: 'on' }
const ofRedis = {
  durable: { appendonly: 'yes', appendfsync: 'always' },
  weaker: { appendonly: 'no', save: '3600 1 300 100 60 10000' },
}
const ofNats = {
  durable: { sync_interval: 'always', storage: 'file' },
  weaker: { sync_interval: '120 s', storage: 'file' },
}
const ofRabbitmq = { 'x-queue-type': 'quorum' }
/** As often as never. */
const flushNever = '9223372036854775807'

const millrace: Contender = inFolder('Millrace', 'millrace.mjs', 'own', ['embedded', 'millrace.db'])
const millraceOnPostgres: Contender = onPostgres('Millrace on PostgreSQL', 'millrace.mjs', 'own', (url) => [
  'postgres',
  url,
])
const eventStorage: Contender = inFolder('event-storage, syncOnFlush, one file', 'event-storage.mjs', 'rival', [
  'sync',
  'durable',
])
const eventStorageAsItComes: Contender = inFolder('event-storage as it comes', 'event-storage.mjs', 'weaker', [
  'default',
  'weaker',
])
const emmett: Contender = emmettNamed('Emmett on PostgreSQL', 'sql')

/** Said where it is asked for. */
export const emmettOnSqlite =
  'Emmett on SQLite is not measured: its client sqlite3 has no code for any machine until a script of its downloads or compiles it'

/** Logs and queues. */
export const brokers: readonly Contender[] = [
  millrace,
  millraceOnPostgres,
  kafka('Kafka, flush.messages=1', 'durable', '1'),
  onServer('rabbitmq', {
    ...{ name: 'RabbitMQ quorum queue', program: 'rabbitmq.mjs', place: 'durable', settings: ofRabbitmq },
    args: ({ url }) => [url],
  }),
  nats('NATS JetStream, sync always', 'durable'),
  redis('Redis Streams, appendfsync always', 'redis-streams.mjs', 'durable'),
  redis('BullMQ, appendfsync always', 'bullmq.mjs', 'durable'),
  onPostgres('pg-boss', 'pg-boss.mjs', 'rival', (url) => [url]),
  kafka('Kafka as it comes', 'weaker', ''),
  nats('NATS JetStream as it comes', 'weaker'),
  redis('Redis Streams, Redis as it comes', 'redis-streams.mjs', 'weaker'),
  redis('BullMQ, Redis as it comes', 'bullmq.mjs', 'weaker'),
]

/** Event stores that keep streams. */
export const stores: readonly Contender[] = [millrace, millraceOnPostgres, eventStorage, emmett, eventStorageAsItComes]

/** All that take an event in, one by one. */
export const publishers: readonly Contender[] = [...brokers, ...stores.filter((store) => !brokers.includes(store))]

/** Event stores that keep views. */
export const viewKeepers: readonly Contender[] = [
  millrace,
  millraceOnPostgres,
  // A view sees all events of the database, those of another Emmett too.
  ofDatabase('emmett_sql', emmettNamed('Emmett on PostgreSQL, rows by SQL', 'sql')),
  ofDatabase('emmett_documents', emmettNamed('Emmett on PostgreSQL, documents', 'documents')),
  { ...eventStorage, part: 'weaker' },
]

/** Whoever appends under a condition over tags. */
export const conditionalAppenders: readonly Contender[] = [
  millrace,
  millraceOnPostgres,
  onPostgres('a function on PostgreSQL, one lock', 'postgres-function.mjs', 'rival', (url) => [url, 'one-lock']),
  onPostgres('a function on PostgreSQL, a lock for each tag', 'postgres-function.mjs', 'rival', (url) => [
    url,
    'lock-per-tag',
  ]),
]

function inFolder(name: string, program: string, part: Part, [kind, place]: readonly [string, string]): Contender {
  const settings = program === 'event-storage.mjs' ? { syncOnFlush: String(kind === 'sync') } : {}
  return { name, program, part, settings, args: (folder) => Promise.resolve([kind, join(folder, place)]) }
}

function onPostgres(name: string, program: string, part: Part, args: (url: string) => readonly string[]): Contender {
  const contender = { name, program, part, place: 'durable', settings: ofPostgres } as const
  return onServer('postgres', { ...contender, args: ({ url }) => args(url) })
}

function emmettNamed(name: string, views: 'sql' | 'documents'): Contender {
  return onPostgres(name, 'emmett.mjs', 'rival', (url) => [url, views])
}

/** The same in a database of its own, whose URL is the first that its program is called with. */
function ofDatabase(database: string, contender: Contender): Contender {
  const args = async (folder: string): Promise<readonly string[]> => {
    const [url, ...others] = await contender.args(folder)
    const client = new pg.Client({ connectionString: url as string })
    await client.connect()
    const { rowCount } = await client.query('SELECT 1 FROM pg_database WHERE datname = $1', [database])
    if (rowCount === 0) await client.query(`CREATE DATABASE ${database}`)
    await client.end()
    const own = new URL(url as string)
    own.pathname = database
    return [own.href, ...others]
  }
  return { ...contender, args }
}

function kafka(name: string, place: Place, flushMessages: string): Contender {
  const settings = { 'flush.messages': flushMessages === '' ? flushNever : flushMessages }
  const args = ({ bootstrapBrokers }: ConnectionOf<'kafka'>): readonly string[] => [
    bootstrapBrokers[0] as string,
    flushMessages,
  ]
  return onServer('kafka', { name, program: 'kafka.mjs', place, settings, args })
}

function nats(name: string, place: Place): Contender {
  const own = place === 'weaker' ? { sync_interval: '"2m"' } : {}
  return onServer('nats', {
    ...{ name, program: 'nats.mjs', place, settings: ofNats[place], own },
    args: ({ port, user, password, monitorPort }) => [String(port), user, password, String(monitorPort)],
  })
}

function redis(name: string, program: string, place: Place): Contender {
  const own: Readonly<Record<string, string>> = place === 'weaker' ? { ...ofRedis.weaker, appendfsync: 'everysec' } : {}
  return onServer('redis', { name, program, place, settings: ofRedis[place], own, args: ({ url }) => [url] })
}

function onServer<Name extends ServerName>(
  server: Name,
  options: {
    readonly name: string
    readonly program: string
    readonly place: Place
    readonly part?: Part
    readonly settings: Readonly<Record<string, string>>
    /** What its file says in addition to what every server of this kind has. */
    readonly own?: Readonly<Record<string, string>>
    readonly args: (connection: ConnectionOf<Name>) => readonly string[]
  },
): Contender {
  const { name, program, place, part = place === 'weaker' ? 'weaker' : 'rival', settings, own = {}, args } = options
  const at = (portBase: number): Contender => {
    const start = () => startServer(server, { portBase, settings: own })
    const remove = async (): Promise<void> => {
      await stopServer(server, { portBase, deleteData: true })
    }
    return {
      ...{ name, program, part, settings },
      server: { name: server, start, remove },
      args: async () => args((await start()).connection),
      apart: at,
    }
  }
  return at(places[place].portBase)
}
