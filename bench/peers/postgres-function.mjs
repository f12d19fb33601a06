// What somebody writes who needs no more than appends under a condition over tags: a table on PostgreSQL, and a function.
// node postgres-function.mjs <database URL> <one-lock|lock-per-tag>
import pg from 'pg'
import { answerTasks, orderOf, postgresSettings, repeated } from './tasks.mjs'

const [url, locking] = process.argv.slice(2)
const pool = new pg.Pool({ connectionString: url, max: 20 })
const schema = `by_hand_${process.pid}`
let rounds = 0

/**
 * Either all appends wait for each other, or those that share a tag: enough for conditions that name one, which are all that the
 * latter takes. Locks are held until the commit, so who comes next sees what was appended.
 */
const locks = {
  'one-lock': `PERFORM pg_advisory_xact_lock(4711);`,
  'lock-per-tag': `PERFORM pg_advisory_xact_lock(4711, id)
      FROM (SELECT DISTINCT hashtext(tag) AS id FROM unnest(given || wanted) AS tag ORDER BY id) AS ids;`,
}

await pool.query(`
  CREATE SCHEMA ${schema};
  CREATE TABLE ${schema}.event (position bigserial PRIMARY KEY, type text NOT NULL, tags text[] NOT NULL, data jsonb NOT NULL);
  CREATE TABLE ${schema}.tag (tag text, position bigint, type text NOT NULL, PRIMARY KEY (tag, position));
  CREATE FUNCTION ${schema}.append(named text, given text[], wanted text[], seen bigint, data jsonb)
    RETURNS bigint LANGUAGE plpgsql AS $$
  DECLARE made bigint;
  BEGIN
    ${locks[locking]}
    PERFORM 1 FROM ${schema}.tag AS t WHERE t.tag = wanted[1] AND t.position > seen AND t.type = named
      AND NOT EXISTS (SELECT 1 FROM unnest(wanted[2:]) AS other WHERE NOT EXISTS (
        SELECT 1 FROM ${schema}.tag AS o WHERE o.tag = other AND o.position = t.position));
    IF FOUND THEN RETURN -1; END IF;
    INSERT INTO ${schema}.event (type, tags, data) VALUES (named, given, data) RETURNING position INTO made;
    INSERT INTO ${schema}.tag SELECT tag, made, named FROM unnest(given) AS tag;
    RETURN made;
  END $$`)
const text = `SELECT ${schema}.append($1, $2, $3, $4, $5) AS position`

async function append({ type, tags, wanted, seen, data }) {
  const values = [type, tags, wanted, seen, JSON.stringify(data)]
  const { rows } = await pool.query({ name: 'append', text, values })
  return Number(rows[0].position)
}

answerTasks(
  {
    async settings() {
      // The condition has to bite: else what is measured is a plain insert.
      const tags = [`check-${rounds++}`]
      const event = { type: 'Checked', tags, wanted: tags, data: {} }
      const first = await append({ ...event, seen: 0 })
      if (first < 0 || (await append({ ...event, seen: 0 })) !== -1 || (await append({ ...event, seen: first })) < 0)
        throw new Error('The function appends what its condition forbids, or refuses what it allows.')
      return await postgresSettings(url)
    },
    async conditional(settings) {
      const round = `order-${process.pid}-${rounds++}`
      const positions = new Map()
      return await repeated(settings, async (n, worker) => {
        const tag = `${round}-${worker}`
        const tags = [tag, `customer:${n % 1000}`]
        const seen = positions.get(worker) ?? 0
        const position = await append({ type: 'OrderPlaced', tags, wanted: [tag], seen, data: orderOf(n) })
        if (position < 0) throw new Error('An append was refused.')
        positions.set(worker, position)
      })
    },
  },
  () => pool.end(),
)
