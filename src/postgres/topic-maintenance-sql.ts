import type { NamedStatement } from './statements.ts'

/** Each statement of {@link TopicMaintenance}. */
type StatementKey =
  | 'deletedTopics'
  | 'removeBatches'
  | 'removeNumbering'
  | 'removeProgress'
  | 'removeClaims'
  | 'removeTopic'
  | 'partitions'
  | 'bytesHeld'
  | 'oldest'
  | 'retain'
  | 'firstYoung'
  | 'waiting'
  | 'slice'
  | 'rewrite'
  | 'drop'
  | 'compacted'

/** Batches that one slice of compaction fetches at most; its bytes are bounded beside that. */
const sliceBatchesMax = 256

/** The statements of {@link TopicMaintenance}; `schema` is a quoted identifier. */
export function maintenanceStatements(schema: string): Readonly<Record<StatementKey, NamedStatement>> {
  /** Rows of another table that belong to a deleted topic, a few at a time; none of these tables has an index for it. */
  const removal = (table: string): string => `DELETE FROM ${schema}.${table} WHERE ctid = ANY (ARRAY(
    SELECT ctid FROM ${schema}.${table} WHERE partition_id IN (
      SELECT id FROM ${schema}.partition WHERE topic_id = $1) LIMIT $2)) RETURNING 1 AS gone`
  const isUnchanged = 'partition_id = $1 AND base_offset = $2 AND substring(bytes FROM 18 FOR 4) = $3'
  return {
    deletedTopics: {
      name: 'millrace_deleted_topics',
      text: `SELECT id, (SELECT coalesce(json_agg(partition.id), '[]')::text FROM ${schema}.partition
          WHERE topic_id = topic.id) AS partitions
        FROM ${schema}.topic WHERE name LIKE 'deleted/%'`,
    },
    removeBatches: {
      name: 'millrace_remove_batches',
      text: `DELETE FROM ${schema}.batch WHERE partition_id = $1 AND base_offset IN (
          SELECT base_offset FROM ${schema}.batch WHERE partition_id = $1 ORDER BY base_offset LIMIT $2)
        RETURNING byte_count`,
    },
    removeNumbering: { name: 'millrace_remove_numbering', text: removal('producer_partition') },
    removeProgress: { name: 'millrace_remove_progress', text: removal('progress') },
    removeClaims: { name: 'millrace_remove_claims', text: removal('claim') },
    removeTopic: {
      name: 'millrace_remove_topic',
      text: `WITH parts AS (DELETE FROM ${schema}.partition WHERE topic_id = $1)
        DELETE FROM ${schema}.topic WHERE id = $1`,
    },
    partitions: {
      name: 'millrace_partitions',
      text: `SELECT partition.id, topic.name, topic.config, number, compacted_to, next_offset
        FROM ${schema}.topic JOIN ${schema}.partition ON topic_id = topic.id AND NOT is_deleted ORDER BY partition.id`,
    },
    bytesHeld: {
      name: 'millrace_bytes_held',
      text: `SELECT coalesce(sum(byte_count), 0) AS bytes FROM ${schema}.batch WHERE partition_id = $1`,
    },
    oldest: {
      name: 'millrace_oldest',
      text: `SELECT last_offset, time_max_ms, byte_count FROM ${schema}.batch WHERE partition_id = $1
        ORDER BY base_offset LIMIT $2`,
    },
    retain: {
      name: 'millrace_retain',
      text: `WITH moved AS (UPDATE ${schema}.partition SET start_offset = greatest(start_offset, $2::bigint)
          WHERE id = $1 RETURNING id)
        DELETE FROM ${schema}.batch USING moved WHERE partition_id = moved.id AND base_offset < $2::bigint
        RETURNING byte_count`,
    },
    firstYoung: {
      name: 'millrace_first_young',
      text: `SELECT min(base_offset) AS base_offset FROM ${schema}.batch
        WHERE partition_id = $1 AND base_offset >= $2::bigint AND time_max_ms > $3::bigint`,
    },
    waiting: {
      name: 'millrace_waiting',
      text: `SELECT coalesce(sum(byte_count), 0) AS bytes FROM ${schema}.batch
        WHERE partition_id = $1 AND base_offset >= $2::bigint AND base_offset < $3::bigint`,
    },
    slice: {
      name: 'millrace_slice',
      text: `SELECT base_offset, last_offset, bytes FROM (
          SELECT base_offset, last_offset, bytes, sum(byte_count) OVER (ORDER BY base_offset) - byte_count AS before FROM (
            SELECT base_offset, last_offset, bytes, byte_count FROM ${schema}.batch
            WHERE partition_id = $1 AND last_offset >= $2 AND base_offset < $3 AND base_offset >= coalesce((
              SELECT max(base_offset) FROM ${schema}.batch WHERE partition_id = $1 AND base_offset <= $2), 0)
            ORDER BY base_offset LIMIT ${sliceBatchesMax}) AS next
        ) AS summed WHERE before < $4 ORDER BY base_offset`,
    },
    rewrite: {
      name: 'millrace_rewrite',
      text: `UPDATE ${schema}.batch SET bytes = $4, byte_count = $5 WHERE ${isUnchanged} RETURNING base_offset`,
    },
    drop: {
      name: 'millrace_drop',
      text: `DELETE FROM ${schema}.batch WHERE ${isUnchanged} RETURNING base_offset`,
    },
    compacted: {
      name: 'millrace_compacted',
      text: `UPDATE ${schema}.partition SET compacted_to = greatest(compacted_to, $2::bigint) WHERE id = $1`,
    },
  }
}
