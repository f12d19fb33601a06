import type pg from 'pg'
import { Appender, callers, streamCount } from '../appender.ts'
import { OrderPlaced, orderDataOf } from '../events.ts'
import { postgresGround } from '../postgres-ground.ts'
import { inFlight } from '../publishing.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { alternate, percentile, rateOf } from '../statistics.ts'

/** What somebody writes who needs nothing but this: a table, and a function that appends at the version expected. */
class BareAppender {
  readonly #pool: pg.Pool
  readonly #call: string
  readonly #versions = new Int32Array(streamCount)
  #turn = 0

  constructor(pool: pg.Pool, schema: string) {
    this.#pool = pool
    this.#call = `SELECT ${schema}.append($1, $2, $3) AS version`
  }

  static async create(pool: pg.Pool, schema: string): Promise<BareAppender> {
    await pool.query(`
      CREATE TABLE ${schema}.event (position bigserial PRIMARY KEY, stream text NOT NULL, version integer NOT NULL,
        message jsonb NOT NULL, UNIQUE (stream, version));
      CREATE FUNCTION ${schema}.append(wanted text, expected integer, message jsonb) RETURNS integer LANGUAGE plpgsql AS $$
      DECLARE current integer;
      BEGIN
        SELECT max(version) INTO current FROM ${schema}.event WHERE stream = wanted;
        IF coalesce(current, 0) <> expected THEN RETURN -1; END IF;
        INSERT INTO ${schema}.event (stream, version, message) VALUES (wanted, expected + 1, message);
        RETURN expected + 1;
      END $$`)
    return new BareAppender(pool, schema)
  }

  async append(commits: number): Promise<void> {
    await inFlight({ commits, inFlight: callers }, async () => {
      const stream = (this.#turn++ * 7919) % streamCount
      const message = JSON.stringify(OrderPlaced(orderDataOf(this.#turn)))
      const values = [`order-${stream}`, this.#versions[stream], message]
      const { rows } = await this.#pool.query({ name: 'append', text: this.#call, values })
      const version = Number((rows[0] as { readonly version: number }).version)
      if (version < 0) throw new Error('an append was refused')
      this.#versions[stream] = version
    })
  }
}

async function run({ quick }: RowSettings): Promise<readonly Figure[]> {
  const commits = quick ? 5000 : 20_000
  await using ground = await postgresGround()
  const plain = new Appender(ground.engine)
  const bare = await BareAppender.create(ground.pool, ground.bareSchema)
  await plain.append(streamCount, false)
  await bare.append(streamCount)
  plain.latenciesMs.length = 0
  const found = await alternate(quick ? 3 : 5, {
    plain: () => rateOf(commits, () => plain.append(commits, false)),
    bare: () => rateOf(commits, () => bare.append(commits)),
  })
  return [
    {
      what: 'with the expected version',
      value: found.plain,
      unit: 'appends/s',
      limit: { what: 'a hand-written function, called through a pool of as many connections', value: found.bare },
      target: { of: 'ratio', atLeast: 1 },
      notes: ['the engine also keeps types, tags, ids and a global order without holes, which the function does not'],
    },
    { what: 'latency p50', value: percentile(plain.latenciesMs, 0.5), unit: 'ms' },
    { what: 'latency p99', value: percentile(plain.latenciesMs, 0.99), unit: 'ms' },
  ]
}

/** Appends as deciders make them. */
export const postgresAppend: BenchRow = { title: 'Conditional append', run }
