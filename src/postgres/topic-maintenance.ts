import { CompactionSchedule } from '../committing/index.ts'
import type { MaintenanceReport, TopicConfig } from '../engine/index.ts'
import { MillraceError } from '../kernel/index.ts'
import { KeyCompaction } from '../record/index.ts'
import { PostgresDataDamagedError } from './errors.ts'
import { type NamedStatement, numberOf, type Row, type StatementRunner } from './statements.ts'
import type { TopicGround } from './topic-ground.ts'
import { maintenanceStatements } from './topic-maintenance-sql.ts'

/** Keys held in memory at once; a partition with more of them is compacted in several rounds. */
const compactionKeysMax = 500_000

/** Batches that one statement deletes or fetches at most … */
const sliceBatchesMax = 256
/** … and bytes of batches after which one that fetches takes no more. */
const sliceBytesMax = 8 * 1024 * 1024

/** Where the CRC-32C stands in a batch (Kafka's record batch v2): it tells one version of a batch from another. */
const crcAt = 17
const crcBytes = 4

interface Totals {
  batchesDeleted: number
  bytesDeleted: number
  recordsCompacted: number
}

interface Place {
  readonly partitionId: number
  readonly topic: string
  readonly number: number
  readonly config: Required<TopicConfig>
  readonly compactedTo: number
  readonly latest: number
}

type MaintenanceGround = Pick<TopicGround, 'schema' | 'schemaName' | 'runner' | 'refuseIfDone'>

/**
 * Removes what is left of deleted topics, and applies retention and compaction to all others, in many short statements: no
 * commit waits for long, and a process that stops in the middle leaves nothing half done. Several processes may do it at the
 * same time: a batch is rewritten only if it still is what was read.
 */
export class TopicMaintenance {
  readonly #ground: MaintenanceGround
  readonly #runner: StatementRunner
  readonly #sql: ReturnType<typeof maintenanceStatements>
  readonly #keysMax: number
  readonly #schedule = new CompactionSchedule()

  constructor(ground: MaintenanceGround, keysMax: number = compactionKeysMax) {
    this.#ground = ground
    this.#runner = ground.runner
    this.#sql = maintenanceStatements(ground.schema)
    this.#keysMax = keysMax
  }

  /**
   * @param onlyDue Whether to compact only what is worth it; else all that may be compacted.
   * @throws PostgresDataDamagedError after all partitions were looked after, if one of them holds damage
   */
  async run(nowMs: number, onlyDue: boolean): Promise<MaintenanceReport> {
    const totals: Totals = { batchesDeleted: 0, bytesDeleted: 0, recordsCompacted: 0 }
    let damage: PostgresDataDamagedError | undefined
    for (const row of await this.#query(this.#sql.deletedTopics)) await this.#remove(row, totals)
    const compacting = new Set<number>()
    for (const row of await this.#query(this.#sql.partitions)) {
      const place = placeOf(row)
      if (place.config.cleanup !== 'compact') await this.#retain(place, nowMs, totals)
      if (place.config.cleanup === 'delete') continue
      compacting.add(place.partitionId)
      try {
        await this.#compact(place, nowMs, onlyDue, totals)
      } catch (error) {
        // Damage in one partition must not keep the others from being looked after.
        if (!(error instanceof MillraceError) || !error.code.startsWith('RECORD_BATCH_')) throw error
        const what = `partition ${place.number} of topic ${place.topic} (${error.problem})`
        damage ??= new PostgresDataDamagedError(this.#ground.schemaName, what, { cause: error })
      }
    }
    this.#schedule.keepOnly(compacting)
    if (damage !== undefined) throw damage
    return totals
  }

  /** Each slice stops when the engine does. */
  #query(statement: NamedStatement, values: readonly unknown[] = []): Promise<readonly Row[]> {
    this.#ground.refuseIfDone()
    return this.#runner.query(statement, values)
  }

  async #remove(topic: Row, totals: Totals): Promise<void> {
    const { id, partitions } = topic
    for (const partitionId of JSON.parse(String(partitions)) as readonly number[]) {
      for (let count = sliceBatchesMax; count === sliceBatchesMax; ) {
        const gone = await this.#query(this.#sql.removeBatches, [partitionId, sliceBatchesMax])
        note(totals, gone)
        count = gone.length
      }
    }
    for (const statement of [this.#sql.removeNumbering, this.#sql.removeProgress, this.#sql.removeClaims]) {
      for (let count = sliceBatchesMax; count === sliceBatchesMax; ) {
        count = (await this.#query(statement, [id, sliceBatchesMax])).length
      }
    }
    // Last, so that the topic is found again until nothing is left of it.
    await this.#query(this.#sql.removeTopic, [id])
  }

  /** Deletes the oldest batches that are too old or beyond the bound of bytes; whole batches, as Kafka whole segments. */
  async #retain({ partitionId, config }: Place, nowMs: number, totals: Totals): Promise<void> {
    const { retentionMs, retentionBytes } = config
    if (retentionMs === null && retentionBytes === null) return
    const [held] = await this.#query(this.#sql.bytesHeld, [partitionId])
    let bytesHeld = held === undefined ? 0 : numberOf(held, 'bytes')
    for (;;) {
      const oldest = await this.#query(this.#sql.oldest, [partitionId, sliceBatchesMax])
      let start = -1
      let count = 0
      for (const row of oldest) {
        const isTooOld = retentionMs !== null && numberOf(row, 'time_max_ms') < nowMs - retentionMs
        const isTooMuch = retentionBytes !== null && bytesHeld > retentionBytes
        if (!isTooOld && !isTooMuch) break
        bytesHeld -= numberOf(row, 'byte_count')
        start = numberOf(row, 'last_offset') + 1
        count++
      }
      if (count > 0) note(totals, await this.#query(this.#sql.retain, [partitionId, start]))
      if (count < sliceBatchesMax) return
    }
  }

  /**
   * Compaction of one partition: of each key only the last record stays, and tombstones go after their retention.
   *
   * What was compacted before holds each key once. So it is enough to note the last offset of every key in the batches since
   * then, as many keys as memory may hold, and to rewrite the batches up to there that hold older records of these keys; then
   * the next ones. What is rewritten keeps its offsets, with gaps.
   */
  async #compact(place: Place, nowMs: number, onlyDue: boolean, totals: Totals): Promise<void> {
    const { partitionId, config, latest } = place
    const { tombstoneRetentionMs, compactionLagMs } = config
    if (place.compactedTo >= latest) return
    const compactedEnd = Math.max(place.compactedTo, this.#schedule.endOf(partitionId))
    const [young] = await this.#query(this.#sql.firstYoung, [partitionId, compactedEnd, nowMs - compactionLagMs])
    // The first batch that is too young ends what may be compacted.
    const end = Math.max(compactedEnd, Math.min(latest, Number(young?.['base_offset'] ?? latest)))
    const [waiting] = await this.#query(this.#sql.waiting, [partitionId, compactedEnd, end])
    const waitingBytes = waiting === undefined ? 0 : numberOf(waiting, 'bytes')
    const question = { partitionId, waitingBytes, tombstoneRetentionMs, nowMs }
    if (onlyDue ? !this.#schedule.isDue(question) : !this.#schedule.isUseful(question)) return
    let bytes = 0
    let oldestTombstoneMs: number | undefined
    let from = compactedEnd
    do {
      const compaction = new KeyCompaction(nowMs - tombstoneRetentionMs)
      let to = from
      while (to < end && (to === from || compaction.keyCount < this.#keysMax)) {
        const slice = await this.#slice(partitionId, to, end)
        for (const row of slice) compaction.note(bytesOf(row))
        const last = slice.at(-1)
        to = last === undefined ? end : numberOf(last, 'last_offset') + 1
      }
      bytes = await this.#rewriteAll(partitionId, to, compaction, totals)
      oldestTombstoneMs = compaction.oldestTombstoneMs
      // Tombstones that stay must be looked at again even if nothing is published any more.
      if (oldestTombstoneMs === undefined) await this.#query(this.#sql.compacted, [partitionId, to])
      from = to
    } while (from < end)
    this.#schedule.note(partitionId, nowMs, { end, bytes, oldestTombstoneMs })
  }

  /** @returns how many bytes are left */
  async #rewriteAll(partitionId: number, end: number, compaction: KeyCompaction, totals: Totals): Promise<number> {
    let bytes = 0
    for (let from = 0; from < end; ) {
      const slice = await this.#slice(partitionId, from, end)
      for (const row of slice) bytes += await this.#rewrite(partitionId, row, compaction, totals)
      const last = slice.at(-1)
      if (last === undefined) break
      from = numberOf(last, 'last_offset') + 1
    }
    return bytes
  }

  /** @returns how many bytes are left */
  async #rewrite(partitionId: number, read: Row, compaction: KeyCompaction, totals: Totals): Promise<number> {
    const baseOffset = numberOf(read, 'base_offset')
    for (let row: Row | undefined = read; row !== undefined; ) {
      const before = bytesOf(row)
      const { bytes, droppedCount } = compaction.compact(before)
      if (droppedCount === 0) return before.byteLength
      const crc = before.subarray(crcAt, crcAt + crcBytes)
      const byteCount = bytes?.byteLength ?? 0
      const values = bytes === null ? [partitionId, baseOffset, crc] : [partitionId, baseOffset, crc, bytes, byteCount]
      const done = await this.#query(bytes === null ? this.#sql.drop : this.#sql.rewrite, values)
      if (done.length > 0) {
        totals.recordsCompacted += droppedCount
        totals.bytesDeleted += before.byteLength - byteCount
        if (bytes === null) totals.batchesDeleted++
        return byteCount
      }
      // Another process has rewritten or removed it since it was read.
      row = (await this.#slice(partitionId, baseOffset, baseOffset + 1))[0]
    }
    return 0
  }

  /** The next batches that end at `from` or later and begin before `end`; at least one, if there is one. */
  #slice(partitionId: number, from: number, end: number): Promise<readonly Row[]> {
    return this.#query(this.#sql.slice, [partitionId, from, end, sliceBytesMax])
  }
}

function note(totals: Totals, gone: readonly Row[]): void {
  totals.batchesDeleted += gone.length
  for (const row of gone) totals.bytesDeleted += numberOf(row, 'byte_count')
}

function placeOf(row: Row): Place {
  return {
    partitionId: numberOf(row, 'id'),
    topic: String(row['name']),
    number: numberOf(row, 'number'),
    config: JSON.parse(String(row['config'])) as Required<TopicConfig>,
    compactedTo: numberOf(row, 'compacted_to'),
    latest: numberOf(row, 'next_offset'),
  }
}

function bytesOf(row: Row): Uint8Array {
  return row['bytes'] as Uint8Array
}
