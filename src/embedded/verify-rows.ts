import type { DatabaseSync } from 'node:sqlite'
import { type ChecksummedTable, checksummedValues, checksumOf } from './store/row-checksum.ts'

interface Walk {
  /** SQL that names the place of a row. */
  readonly place: string
  /** Column that holds JSON. */
  readonly json?: string
}

const ofTopic = `SELECT ', topic ' || name || ', partition ' || number FROM partition JOIN topic ON topic.id = topic_id
  WHERE partition.id = partition_id`
const ofNamespace = 'SELECT name FROM namespace WHERE id = namespace_id'

/** Every table whose rows have a checksum, but events, which are looked at with their bytes. */
const walks: Readonly<Record<Exclude<ChecksummedTable, 'event'>, Walk>> = {
  topic: { place: "'topic ' || name", json: 'config' },
  partition: { place: "'partition ' || number || ' of topic id ' || topic_id" },
  producer: { place: "'producer ' || name" },
  producer_partition: {
    place: "'numbering of producer id ' || producer_id || ' on partition id ' || partition_id",
    json: 'recent',
  },
  progress: { place: `'progress of group ' || group_name || coalesce((${ofTopic}), '')`, json: 'done' },
  stream: { place: "'stream ' || name" },
  namespace: { place: "'namespace ' || name" },
  state: {
    place: `'state ' || coalesce((${ofNamespace}), 'of namespace id ' || namespace_id) || ', key ' || key`,
    json: 'value',
  },
  timer: { place: "'timer ' || owner || ', id ' || id", json: 'payload' },
  counter: { place: "'counter ' || name" },
}

/** After this many rows others get a turn. */
const rowsPerTurn = 256

/** Holds every row that has a checksum against it. */
export async function verifyRows(
  db: DatabaseSync,
  report: (place: string, problem: string) => void,
  signal: AbortSignal | undefined,
): Promise<void> {
  for (const [table, { place, json }] of Object.entries(walks)) {
    const values = checksummedValues[table as ChecksummedTable]
    const columns = values.map((value, i) => `${value} AS value${i}`)
    const sql = `SELECT ${columns.join(', ')}, checksum, ${place} AS place,
      ${json === undefined ? '1' : `json_valid(${json})`} AS is_json FROM ${table}`
    try {
      const statement = db.prepare(sql)
      // A damaged number may be beyond those that JavaScript counts exactly.
      statement.setReadBigInts(true)
      let count = 0
      for (const row of statement.iterate()) {
        const noted = values.map((_, i) => row[`value${i}`])
        const named = row['place'] === null ? `table ${table}` : String(row['place'])
        if (row['is_json'] !== 1n) report(named, 'is no JSON')
        else if (Number(row['checksum']) !== checksumOf(table as ChecksummedTable, ...noted)) {
          report(named, 'has another checksum than is noted')
        }
        if (++count % rowsPerTurn !== 0) continue
        await new Promise((resolve) => setImmediate(resolve))
        signal?.throwIfAborted()
      }
    } catch (error) {
      if (!(error instanceof Error && 'errcode' in error)) throw error
      report(`table ${table}`, error.message)
    }
  }
}
