import { once } from 'node:events'
import { readFileSync, writeFileSync } from 'node:fs'
import { createServer, type Server } from 'node:net'
import { dirname, join } from 'node:path'
import {
  Admin,
  Consumer,
  Producer,
  type SASLOptions,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka'
import pg from 'pg'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type KafkaConnection,
  type PostgresConnection,
  type RunningServer,
  serverStatus,
  startServer,
  stopServer,
} from './index.ts'

// Other servers than those that `npm run servers` starts by itself, so that nobody's are killed by these tests.
const place = { portBase: 21_000 }
const serversWanted = process.env['MILLRACE_REAL_SERVERS'] === '1'
const installTimeoutMs = 600_000

interface Access {
  readonly bootstrapBrokers: string[]
  readonly sasl?: SASLOptions
  readonly retries?: number
  readonly retryDelay?: number
  readonly tls?: { readonly ca: Buffer; readonly cert?: Buffer; readonly key?: Buffer }
}

/** A token that nobody signed: RFC 7519, section 6. */
function unsignedToken(subject: string): string {
  const nowS = Math.floor(Date.now() / 1000)
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
  return `${encode({ alg: 'none' })}.${encode({ sub: subject, iat: nowS, exp: nowS + 600 })}.`
}

const clientOptions = (access: Access) => ({ clientId: 'real-servers-test', retries: 5, ...access })

async function createTopic(access: Access, name: string, replicas = 1): Promise<void> {
  const admin = new Admin(clientOptions(access))
  try {
    await admin.createTopics({ topics: [name], partitions: 1, replicas })
  } finally {
    await admin.close()
  }
}

async function publish(access: Access, topic: string, values: readonly string[]): Promise<void> {
  const producer = new Producer({
    ...clientOptions(access),
    serializers: stringSerializers,
    idempotent: true,
    acks: -1,
  })
  try {
    await producer.send({ messages: values.map((value) => ({ topic, key: 'k', value })) })
  } finally {
    await producer.close()
  }
}

/** Reads from the start until so many values came. */
async function read(access: Access, topic: string, count: number): Promise<string[]> {
  const consumer = new Consumer({
    ...clientOptions(access),
    groupId: `group-${topic}-${Math.random()}`,
    deserializers: stringDeserializers,
  })
  const values: string[] = []
  try {
    const stream = await consumer.consume({ topics: [topic], mode: 'earliest', autocommit: false, isolationLevel: 1 })
    for await (const { value } of stream) {
      values.push(value)
      if (values.length === count) break
    }
  } finally {
    await consumer.close(true)
  }
  return values
}

function accesses(connection: KafkaConnection): Record<string, Access> {
  const { bootstrapBrokers, listeners, sasl, tls } = connection
  const ca = readFileSync(tls.caPath)
  const own = { cert: readFileSync(tls.clientCertificatePath), key: readFileSync(tls.clientKeyPath) }
  const found: Record<string, Access> = {
    'plain text': { bootstrapBrokers: [...bootstrapBrokers] },
    TLS: { bootstrapBrokers: [...listeners.ssl], tls: { ca } },
    'TLS with a client certificate': { bootstrapBrokers: [...listeners.ssl], tls: { ca, ...own } },
  }
  for (const mechanism of ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const) {
    const { username, password } = sasl
    const login = mechanism === 'OAUTHBEARER' ? { token: unsignedToken(username) } : { username, password }
    const saslOptions = { mechanism, ...login }
    found[mechanism] = { bootstrapBrokers: [...listeners.saslPlaintext], sasl: saslOptions }
    found[`${mechanism} over TLS`] = { bootstrapBrokers: [...listeners.saslSsl], sasl: saslOptions, tls: { ca } }
  }
  return found
}

// Skipped because it installs and runs Kafka and PostgreSQL: `npm run test:servers` does, `npm test` does not.
describe.skipIf(!serversWanted)('Kafka', () => {
  let kafka: RunningServer<KafkaConnection>
  let access: Access

  beforeAll(async () => {
    await stopServer('kafka', { ...place, deleteData: true })
    kafka = await startServer('kafka', place)
    access = { bootstrapBrokers: [...kafka.connection.bootstrapBrokers] }
  }, installTimeoutMs)

  afterAll(async () => {
    await stopServer('kafka', { ...place, deleteData: true })
  })

  it('is left alone when it is started twice, also at the same time', async () => {
    const pid = kafka.nodes[0]?.pid
    const again = await Promise.all([startServer('kafka', place), startServer('kafka', place)])
    expect(again.map(({ nodes }) => nodes[0]?.pid)).toEqual([pid, pid])
    expect(await serverStatus('kafka', place)).toMatchObject({ state: 'ready', connection: kafka.connection })
  })

  it('takes and gives events on every listener, by every way to log in', async () => {
    const ways = Object.entries(accesses(kafka.connection))
    expect(ways).toHaveLength(11)
    for (const [index, [way, wayAccess]] of ways.entries()) {
      const topic = `listener-${index}`
      await createTopic(wayAccess, topic)
      await publish(wayAccess, topic, [way])
      expect(await read(wayAccess, topic, 1)).toEqual([way])
    }
  })

  it('refuses a wrong password and a topic that nobody created', async () => {
    const { listeners, sasl } = kafka.connection
    for (const mechanism of ['PLAIN', 'SCRAM-SHA-256'] as const) {
      const wrong = { mechanism, username: sasl.username, password: 'wrong' }
      const wrongAccess = { bootstrapBrokers: [...listeners.saslPlaintext], sasl: wrong, retries: 0 }
      await expect(createTopic(wrongAccess, 'never')).rejects.toThrow('Creating topics failed')
    }
    const admin = new Admin(clientOptions({ ...access, retries: 1 }))
    await expect(admin.metadata({ topics: ['never-created'] })).rejects.toThrow('Unknown topic never-created')
    await admin.close()
  })

  it('commits and aborts transactions', async () => {
    await createTopic(access, 'transactions')
    const producer = new Producer({
      ...clientOptions(access),
      serializers: stringSerializers,
      idempotent: true,
      transactionalId: 'real-servers-test',
    })
    for (const end of ['commit', 'abort', 'commit'] as const) {
      const transaction = await producer.beginTransaction()
      await transaction.send({ messages: [{ topic: 'transactions', key: 'k', value: end }] })
      await transaction[end]()
    }
    await producer.close()
    expect(await read(access, 'transactions', 2)).toEqual(['commit', 'commit'])
  })

  it('keeps what it acknowledged when it is killed', async () => {
    await createTopic(access, 'killed')
    await publish(access, 'killed', ['a', 'b'])
    const [node] = kafka.nodes
    await node?.kill()
    expect(node?.state()).toBe('stopped')
    expect(await serverStatus('kafka', place)).toMatchObject({ state: 'stopped' })
    await node?.start()
    await publish(access, 'killed', ['c'])
    expect(await read(access, 'killed', 3)).toEqual(['a', 'b', 'c'])
  })

  it('answers nothing while it is paused', async () => {
    const [node] = kafka.nodes
    await node?.pause()
    expect([node?.state(), await node?.answers()]).toEqual(['paused', false])
    expect(await serverStatus('kafka', place)).toMatchObject({ state: 'impaired' })
    await node?.resume()
    await node?.waitUntilAnswering()
    expect(node?.state()).toBe('running')
  })

  it('cannot be started where something else listens', async () => {
    await kafka.stop()
    const port = Number(kafka.connection.bootstrapBrokers[0]?.split(':')[1])
    const squatter: Server = createServer().listen(port, '127.0.0.1')
    await once(squatter, 'listening')
    try {
      await expect(startServer('kafka', place)).rejects.toMatchObject({ code: 'SERVER_PORT_TAKEN', details: { port } })
    } finally {
      squatter.close()
    }
    await kafka.nodes[0]?.start()
  })

  it('tells the reason from its log when it does not start, and leaves processes alone that are not its own', async () => {
    await kafka.stop()
    const folder = dirname(kafka.nodes[0]?.logPath ?? '')
    // What a crash of the machine leaves behind: the id of a process that is somebody else's by now.
    writeFileSync(join(folder, 'process.json'), JSON.stringify({ pid: process.pid, identity: 'an-earlier-boot/1' }))
    expect(kafka.nodes[0]?.state()).toBe('stopped')
    await kafka.nodes[0]?.kill()
    writeFileSync(join(folder, 'data', 'meta.properties'), 'version=1\nnode.id=77\ncluster.id=another\n')
    await expect(kafka.nodes[0]?.start()).rejects.toMatchObject({
      code: 'SERVER_START_FAILED',
      details: { logTail: expect.stringContaining('77') as string },
    })
    expect(await stopServer('kafka', { ...place, deleteData: true })).toBe(0)
    kafka = await startServer('kafka', place)
  })
})

// Skipped because it installs and runs Kafka: `npm run test:servers` does, `npm test` does not.
describe.skipIf(!serversWanted)('Kafka with three nodes', () => {
  const placeOfThree = { portBase: 21_300 }

  afterAll(async () => {
    await stopServer('kafka', { ...placeOfThree, deleteData: true })
  })

  it('goes on without one of them and takes it back', { timeout: installTimeoutMs }, async () => {
    await stopServer('kafka', { ...placeOfThree, deleteData: true })
    const kafka = await startServer('kafka', { ...placeOfThree, nodeCount: 3 })
    const access = { bootstrapBrokers: [...kafka.connection.bootstrapBrokers] }
    await createTopic(access, 'replicated', 3)
    await publish(access, 'replicated', ['a'])
    await kafka.nodes[0]?.kill()
    expect(await serverStatus('kafka', placeOfThree)).toMatchObject({ state: 'impaired' })
    const others = { bootstrapBrokers: access.bootstrapBrokers.slice(1), retries: 50, retryDelay: 500 }
    await publish(others, 'replicated', ['b'])
    await kafka.nodes[0]?.start()
    await kafka.waitUntilReady()
    expect(await read(access, 'replicated', 2)).toEqual(['a', 'b'])
    await expect(startServer('kafka', placeOfThree)).rejects.toMatchObject({ code: 'SERVER_SETTINGS_DIFFER' })
  })
})

// Skipped because it installs and runs PostgreSQL: `npm run test:servers` does, `npm test` does not.
describe.skipIf(!serversWanted)('PostgreSQL', () => {
  let postgres: RunningServer<PostgresConnection>

  async function ask(config: pg.ClientConfig, statement: string): Promise<unknown[]> {
    const client = new pg.Client(config)
    await client.connect()
    try {
      const { rows } = await client.query<unknown[]>({ text: statement, rowMode: 'array' })
      return rows.flat()
    } finally {
      await client.end()
    }
  }
  const owner = (): pg.ClientConfig => ({ connectionString: postgres.connection.url })

  beforeAll(async () => {
    await stopServer('postgres', { ...place, deleteData: true })
    postgres = await startServer('postgres', place)
  }, installTimeoutMs)

  afterAll(async () => {
    await stopServer('postgres', { ...place, deleteData: true })
  })

  it('lets in who has the password, or need not have one, also over TLS', async () => {
    const { host, port, database, user, password, trustedUrl, tls } = postgres.connection
    expect(await ask(owner(), 'SELECT 1')).toEqual([1])
    expect(await ask({ connectionString: trustedUrl }, 'SELECT current_user')).toEqual(['millrace_trusted'])
    const verified = { host, port, database, user, password, ssl: { ca: readFileSync(tls.caPath) } }
    expect(await ask(verified, 'SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')).toEqual([true])
    await expect(ask({ host, port, database, user, password: 'wrong' }, 'SELECT 1')).rejects.toMatchObject({
      code: '28P01',
    })
  })

  it('is set for logical replication, durable, and large enough for pools', async () => {
    const wanted = { wal_level: 'logical', fsync: 'on', synchronous_commit: 'on', max_connections: '200' }
    for (const [name, value] of Object.entries(wanted)) expect(await ask(owner(), `SHOW ${name}`)).toEqual([value])
    expect(await ask(owner(), "SELECT slot_name FROM pg_create_logical_replication_slot('s', 'pgoutput')")).toEqual([
      's',
    ])
    expect(await ask(owner(), "SELECT pg_drop_replication_slot('s')")).toEqual([''])
  })

  it('keeps what it committed when it is killed, with all its processes', async () => {
    await ask(owner(), 'CREATE TABLE kept AS SELECT 7 AS n')
    const [node] = postgres.nodes
    const session = new pg.Client(owner())
    const broken = new Promise((resolve) => {
      session.on('error', resolve)
    })
    await session.connect()
    await node?.kill()
    await broken
    expect(node?.state()).toBe('stopped')
    await node?.start()
    expect(await ask(owner(), 'SELECT n FROM kept')).toEqual([7])
  })

  it('answers nobody while it is paused, not even open sessions', async () => {
    const [node] = postgres.nodes
    const session = new pg.Client({ ...owner(), query_timeout: 300 })
    await session.connect()
    await node?.pause()
    await expect(session.query('SELECT 1')).rejects.toThrow('timeout')
    expect(await node?.answers()).toBe(false)
    await node?.resume()
    await node?.waitUntilAnswering()
    await session.end()
    expect(await ask(owner(), 'SELECT 1')).toEqual([1])
  })
})
