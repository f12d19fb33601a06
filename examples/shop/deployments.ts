import { createHash } from 'node:crypto'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import pg from 'pg'
import { embedded } from '../../src/embedded/index.ts'
import type { EngineSource } from '../../src/engine/index.ts'
import { deployment, type MillraceError } from '../../src/index.ts'
import { kafka } from '../../src/kafka/index.ts'
import { postgres } from '../../src/postgres/index.ts'
import { ServerUnnamedError } from './errors.ts'

/** What the shop can run on, by the names that `--deployment` takes. */
export const deploymentNames = [
  'embedded',
  'postgres',
  'kafka',
  'embedded+postgres',
  'kafka+embedded',
  'kafka+postgres',
] as const

export type DeploymentName = (typeof deploymentNames)[number]

/** Ground for one run. */
export interface ShopGround {
  readonly engine: EngineSource
  /** Where the data are, for people. */
  readonly place: string
  /** Removes everything that is not in the folder. */
  readonly remove: () => Promise<void>
}

/**
 * Ground whose data belong to a folder: its file lies there, its schema and its topics are named after it.
 *
 * @param environment Holds `DATABASE_URL` where PostgreSQL is part of it, `KAFKA_BROKERS` where Kafka is.
 * @param worker Number of the process, for what each has by itself.
 * @throws ServerUnnamedError `SHOP_SERVER_UNNAMED`
 */
export function groundFor(
  name: DeploymentName,
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
  worker = 0,
): ShopGround {
  const required = (variable: string): string => {
    const value = environment[variable]
    if (value === undefined || value === '') throw new ServerUnnamedError(name, variable)
    return value
  }
  const mark = `shop_${createHash('sha256').update(folder).digest('hex').slice(0, 12)}`
  const kinds = name.split('+')
  const part = (kind: string): GroundPart => {
    switch (kind) {
      case 'postgres':
        return postgresPart(required('DATABASE_URL'), mark)
      case 'kafka':
        return kafkaPart(
          required('KAFKA_BROKERS').split(','),
          `${mark}.`,
          // Alone, it keeps the state too.
          kinds.length === 1 ? join(folder, `kafka-state-${worker}`) : undefined,
        )
      default:
        return filePart(join(folder, 'shop.db'))
    }
  }
  const parts = kinds.map(part) as [GroundPart, GroundPart?]
  const [topics, store] = parts
  const places = parts.flatMap((one) => one?.place ?? [])
  return {
    engine: store === undefined ? topics.engine : deployment({ topics: topics.engine, store: store.engine }),
    place: [...places, folder].join(', and '),
    remove: async () => {
      for (const one of parts) await one?.remove()
    },
  }
}

/** Who starts the shop waits for an answer: a server that is not there is told soon. */
const connectTimeoutMs = 5_000

/** One engine of a ground. */
interface GroundPart extends Omit<ShopGround, 'place'> {
  readonly place: string | undefined
}

function filePart(path: string): GroundPart {
  const engine = embedded({ path })
  return {
    engine,
    place: undefined,
    // The file goes with the folder, but not under a shop that runs.
    remove: async () => {
      if (!existsSync(path)) return
      try {
        await (await engine.open()).close()
      } catch (error) {
        if ((error as Partial<MillraceError>).code === 'FILE_LOCKED') throw error
      }
    },
  }
}

function postgresPart(url: string, schema: string): GroundPart {
  return {
    engine: postgres({ connection: url, schema, applicationName: 'millrace-shop', connectTimeoutMs }),
    place: `schema ${schema} of the database`,
    remove: () => dropSchema(url, schema),
  }
}

function kafkaPart(brokers: readonly string[], prefix: string, stateFolder: string | undefined): GroundPart {
  const engine = kafka({
    brokers,
    prefix,
    clientId: 'shop',
    // The classic protocol lets a member say how long it may be silent.
    groupProtocol: 'classic',
    groupSessionTimeoutMs: 10_000,
    // What a process that died left open is in the way no longer than its session.
    transactionTimeoutMs: 10_000,
    ...(stateFolder !== undefined && { state: { folder: stateFolder } }),
  })
  return { engine, place: `topics ${prefix}* of the brokers`, remove: () => deleteTopics(engine) }
}

async function deleteTopics(source: EngineSource): Promise<void> {
  await using engine = await source.open()
  for (const { name } of await engine.topics.list()) await engine.topics.delete(name)
}

async function dropSchema(url: string, schema: string): Promise<void> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  try {
    await client.query(`DROP SCHEMA IF EXISTS "${schema}" CASCADE`)
  } finally {
    await client.end()
  }
}
