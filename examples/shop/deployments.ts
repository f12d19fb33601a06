import { createHash } from 'node:crypto'
import { join } from 'node:path'
import pg from 'pg'
import { embedded } from '../../src/embedded/index.ts'
import type { EngineSource } from '../../src/engine/index.ts'
import { deployment } from '../../src/index.ts'
import { postgres } from '../../src/postgres/index.ts'
import { ServerUnnamedError } from './errors.ts'

/** What the shop can run on, by the names that `--deployment` takes. */
export const deploymentNames = ['embedded', 'postgres', 'embedded+postgres'] as const

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
 * Ground whose data belong to a folder: its file lies there, its schema is named after it.
 *
 * @param environment Holds `DATABASE_URL` where PostgreSQL is part of it.
 * @throws ServerUnnamedError `SHOP_SERVER_UNNAMED`
 */
export function groundFor(
  name: DeploymentName,
  folder: string,
  environment: Readonly<Record<string, string | undefined>>,
): ShopGround {
  const file = embedded({ path: join(folder, 'shop.db') })
  if (name === 'embedded') return { engine: file, place: folder, remove: () => Promise.resolve() }
  const url = environment['DATABASE_URL']
  if (url === undefined || url === '') throw new ServerUnnamedError(name, 'DATABASE_URL')
  const schema = `shop_${createHash('sha256').update(folder).digest('hex').slice(0, 12)}`
  const store = postgres({ connection: url, schema, applicationName: 'millrace-shop' })
  const place = `schema ${schema} of the database, and ${folder}`
  const remove = (): Promise<void> => dropSchema(url, schema)
  if (name === 'postgres') return { engine: store, place, remove }
  return { engine: deployment({ topics: file, store }), place, remove }
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
