import { checkTopicName, resolveTopicConfig } from '../committing/index.ts'
import {
  type PartitionDescription,
  type TopicConfig,
  type TopicDescription,
  TopicExistsError,
  TopicUnknownError,
} from '../engine/index.ts'
import { type NamedStatement, numberOf, type Row, type StatementRunner } from './statements.ts'
import type { TopicGround } from './topic-ground.ts'

/**
 * The last epoch that a producer's id is used with, as in Kafka: epochs are 16-bit and the greatest is kept back. The
 * registration after it gets a new id.
 */
export const producerEpochMax = 32_766

/** Rows that one statement deletes at most, so that none holds anybody up for long. */
const rowsPerSlice = 500

/**
 * Creates, changes, deletes and describes topics. Each change is one statement and so one transaction; nothing is held
 * while this process does anything else, so one that stops in the middle stands in nobody's way.
 */
export class TopicAdmin {
  readonly #ground: TopicGround
  readonly #runner: StatementRunner
  readonly #sql: ReturnType<typeof statementsOf>

  constructor(ground: TopicGround) {
    this.#ground = ground
    this.#runner = ground.runner
    this.#sql = statementsOf(ground.schema)
  }

  async create(name: string, config?: TopicConfig): Promise<TopicDescription> {
    checkTopicName(name)
    const resolved = resolveTopicConfig(name, config)
    if (!(await this.#insert(name, resolved))) throw new TopicExistsError(name)
    return this.#described(name)
  }

  async ensure(name: string, config?: TopicConfig): Promise<TopicDescription> {
    checkTopicName(name)
    const resolved = resolveTopicConfig(name, config)
    const present = await this.describe(name)
    if (present !== undefined) return present
    this.#ground.refuseIfDone()
    await this.#insert(name, resolved)
    return this.#described(name)
  }

  async alter(name: string, changes: TopicConfig): Promise<TopicDescription> {
    for (;;) {
      const row = await this.#find(name)
      if (row === undefined) throw new TopicUnknownError(name)
      const before = JSON.parse(String(row['config'])) as Required<TopicConfig>
      const config = resolveTopicConfig(name, changes, before)
      const values = [row['id'], row['config'], JSON.stringify(config), before.partitions, config.partitions]
      // Somebody else changed it in between: what they set holds where this change says nothing.
      if (!(await this.#ground.made.make(this.#sql.alter, values))) continue
      await this.#ground.catalog.refresh()
      this.#ground.announce()
      return this.#described(name)
    }
  }

  /** The topic is gone with one short statement, however much it holds; maintenance removes what is left of it. */
  async delete(name: string): Promise<void> {
    const row = await this.#find(name)
    // By its id: run again after a cut connection, the statement must not take a new topic of that name for the old one.
    if (row !== undefined) await this.#runner.query(this.#sql.delete, [row['id'], name])
    await this.#ground.catalog.refresh()
    if (row === undefined) throw new TopicUnknownError(name)
    this.#ground.announce()
  }

  async describe(name: string): Promise<TopicDescription | undefined> {
    return isAskable(name) ? describedIn(await this.#runner.query(this.#sql.describe, [name]))[0] : undefined
  }

  async list(): Promise<readonly TopicDescription[]> {
    return describedIn(await this.#runner.query(this.#sql.describe, [null]))
  }

  /**
   * Answers where the partition begins now; undefined: it is no more. What is before that goes a slice at a time.
   *
   * @param beforeOffset No further than the partition was lately: run again after a cut, the statement must not take what
   *   was published since.
   */
  async truncate(partitionId: number, beforeOffset: number): Promise<number | undefined> {
    const [row] = await this.#runner.query(this.#sql.truncate, [partitionId, beforeOffset])
    if (row === undefined) return undefined
    for (let count = rowsPerSlice; count === rowsPerSlice; ) {
      count = (await this.#runner.query(this.#sql.removeBefore, [partitionId, row['start_offset'], rowsPerSlice]))
        .length
    }
    return numberOf(row, 'start_offset')
  }

  async registerProducer(name: string): Promise<{ readonly producerId: number; readonly epoch: number }> {
    for (;;) {
      // Once: a first run that comes late must not raise the epoch that the second one answered.
      const id = this.#ground.made.newId()
      const [row] = await this.#runner.query(this.#sql.register, [name, producerEpochMax, id])
      if (row !== undefined) return { producerId: numberOf(row, 'id'), epoch: numberOf(row, 'epoch') }
      // Its epochs are used up, or the answer with the epoch was lost. Ids are never given again, so this one is unknown from now on.
      await this.#runner.query(this.#sql.retire, [name, producerEpochMax])
    }
  }

  async #find(name: string): Promise<Row | undefined> {
    return isAskable(name) ? (await this.#runner.query(this.#sql.config, [name]))[0] : undefined
  }

  async #insert(name: string, config: Required<TopicConfig>): Promise<boolean> {
    const [next] = await this.#runner.query(this.#sql.nextId, [])
    const id = next?.['id']
    const values = [id, name, JSON.stringify(config), config.partitions]
    const isMade = await this.#ground.made.make(this.#sql.create, values)
    await this.#ground.catalog.refresh()
    if (isMade) this.#ground.announce()
    return isMade
  }

  async #described(name: string): Promise<TopicDescription> {
    const description = await this.describe(name)
    // Deleted by somebody else at once.
    if (description === undefined) throw new TopicUnknownError(name)
    return description
  }
}

/** Topics that are deleted have a slash in their name, and the server takes no NUL: neither is the name of a topic. */
function isAskable(name: unknown): boolean {
  return typeof name === 'string' && name.isWellFormed() && !/[/\0]/.test(name)
}

/** Rows of partitions, ordered by topic and number, as topics. */
function describedIn(rows: readonly Row[]): readonly TopicDescription[] {
  const found = new Map<string, TopicDescription & { readonly partitions: PartitionDescription[] }>()
  for (const row of rows) {
    const name = String(row['name'])
    let topic = found.get(name)
    if (topic === undefined) {
      topic = { name, config: JSON.parse(String(row['config'])) as Required<TopicConfig>, partitions: [] }
      found.set(name, topic)
    }
    topic.partitions.push({
      partition: numberOf(row, 'number'),
      earliest: numberOf(row, 'start_offset'),
      latest: numberOf(row, 'next_offset'),
      bytes: numberOf(row, 'bytes'),
    })
  }
  return [...found.values()]
}

function statementsOf(schema: string) {
  // Changes of topics come one after the other: each takes the row of the version, the last of its locks.
  const noted = (from: string): string =>
    `noted AS (UPDATE ${schema}.meta SET catalog_version = catalog_version + 1 WHERE EXISTS (SELECT FROM ${from}))`
  const isNew = (id: string): string => `NOT EXISTS (SELECT FROM ${schema}.change WHERE id = ${id})`
  /** The change leaves its id behind, if it was made. */
  const left = (from: string, id: string): string =>
    `left_behind AS (INSERT INTO ${schema}.change (id) SELECT ${id} FROM ${from} ON CONFLICT DO NOTHING)`
  return {
    nextId: {
      name: 'millrace_topic_next_id',
      text: `SELECT nextval(pg_get_serial_sequence('${schema.replaceAll("'", "''")}.topic', 'id')) AS id`,
    },
    create: {
      name: 'millrace_topic_create',
      text: `WITH made AS (
          INSERT INTO ${schema}.topic (id, name, config) OVERRIDING SYSTEM VALUE
          SELECT $1::bigint, $2::text, $3::text WHERE ${isNew('$5')} ON CONFLICT DO NOTHING RETURNING id),
        ${left('made', '$5')},
        parts AS (INSERT INTO ${schema}.partition (topic_id, number)
          SELECT made.id, number FROM made, generate_series(0, $4::integer - 1) AS number ORDER BY number),
        ${noted('made')} SELECT id FROM made`,
    },
    config: { name: 'millrace_topic_config', text: `SELECT id, config FROM ${schema}.topic WHERE name = $1` },
    alter: {
      name: 'millrace_topic_alter',
      text: `WITH changed AS (UPDATE ${schema}.topic SET config = $3
          WHERE id = $1 AND config = $2 AND name NOT LIKE 'deleted/%' AND ${isNew('$6')} RETURNING id),
        ${left('changed', '$6')},
        parts AS (INSERT INTO ${schema}.partition (topic_id, number)
          SELECT changed.id, number FROM changed, generate_series($4::integer, $5::integer - 1) AS number
          ORDER BY number),
        ${noted('changed')} SELECT id FROM changed`,
    },
    delete: {
      name: 'millrace_topic_delete',
      // Partitions are locked in the order in which commits lock them.
      text: `WITH gone AS (UPDATE ${schema}.topic SET name = 'deleted/' || id WHERE id = $1 AND name = $2 RETURNING id),
        locked AS (SELECT partition.id FROM gone JOIN ${schema}.partition ON topic_id = gone.id
          ORDER BY partition.id FOR NO KEY UPDATE OF partition),
        parts AS (UPDATE ${schema}.partition SET is_deleted = true FROM locked WHERE partition.id = locked.id),
        ${noted('gone')} SELECT id FROM gone`,
    },
    describe: {
      name: 'millrace_topic_describe',
      text: `SELECT topic.name, topic.config, partition.number, partition.start_offset, partition.next_offset,
          (SELECT coalesce(sum(byte_count), 0) FROM ${schema}.batch WHERE partition_id = partition.id) AS bytes
        FROM ${schema}.topic JOIN ${schema}.partition ON topic_id = topic.id AND NOT is_deleted
        WHERE $1::text IS NULL OR topic.name = $1 ORDER BY topic.name, partition.number`,
    },
    truncate: {
      name: 'millrace_topic_truncate',
      text: `UPDATE ${schema}.partition SET start_offset = greatest(start_offset, least($2::bigint, next_offset))
        WHERE id = $1 AND NOT is_deleted RETURNING start_offset`,
    },
    removeBefore: {
      name: 'millrace_topic_remove_before',
      text: `DELETE FROM ${schema}.batch WHERE partition_id = $1 AND base_offset IN (
          SELECT base_offset FROM ${schema}.batch WHERE partition_id = $1 AND last_offset < $2::bigint
            AND base_offset < $2::bigint ORDER BY base_offset LIMIT $3) RETURNING base_offset`,
    },
    register: {
      name: 'millrace_producer_register',
      text: `WITH made AS (INSERT INTO ${schema}.change (id) VALUES ($3) ON CONFLICT DO NOTHING RETURNING id)
        INSERT INTO ${schema}.producer AS mine (name, epoch) SELECT $1::text, 0 FROM made
        ON CONFLICT (name) DO UPDATE SET epoch = mine.epoch + 1 WHERE mine.epoch < $2::integer RETURNING id, epoch`,
    },
    retire: {
      name: 'millrace_producer_retire',
      text: `WITH spent AS (DELETE FROM ${schema}.producer WHERE name = $1 AND epoch >= $2::integer RETURNING id)
        DELETE FROM ${schema}.producer_partition USING spent WHERE producer_id = spent.id`,
    },
  } as const satisfies Record<string, NamedStatement>
}
