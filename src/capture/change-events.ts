import type { PublishWrite } from '../engine/index.ts'
import { isoTime } from '../kernel/index.ts'
import { type Message, sealMessage } from '../message/index.ts'
import type { CapturedTable } from './captured-table.ts'
import {
  type CapturedChange,
  type ChangeTransaction,
  differences,
  type RowChange,
  type TableDeparture,
  type TableSchema,
  type TableTruncation,
} from './change-data.ts'
import { type Lsn, lsnText, sortableLsn } from './lsn.ts'
import type { Change } from './pgoutput.ts'
import { type FoundRow, keyOf, oldRowOf, partitionKeyOf, rowOf, shortened } from './row-values.ts'
import { unixUs } from './stream-frames.ts'
import type { TableDescription } from './table-description.ts'

/** A transaction whose changes come now, in the forms in which its events need it. */
export class TransactionStamp {
  readonly xid: number
  readonly commitLsn: Lsn
  readonly lsn: string
  /** Begins the ids of its events. */
  readonly idPrefix: string
  readonly time: string
  readonly #committedAt: string

  constructor(xid: number, commitLsn: Lsn, committedUs: bigint) {
    const us = unixUs(committedUs)
    this.xid = xid
    this.commitLsn = commitLsn
    this.lsn = lsnText(commitLsn)
    this.idPrefix = sortableLsn(commitLsn)
    this.time = isoTime(Number(us / 1000n))
    this.#committedAt = `${this.time.slice(0, -1)}${String(us % 1000n).padStart(3, '0')}Z`
  }

  of(index: number): ChangeTransaction {
    return Object.freeze({ id: this.xid, lsn: this.lsn, index, committedAt: this.#committedAt })
  }
}

/** Where an event goes: to the partition of its key, or to each partition; or whatever is published in its place. */
export interface EventSink {
  add(topic: string, message: Message, bytes: number): void
  addTo(topic: string, partition: number, message: Message): void
  addWrites(writes: readonly PublishWrite[], bytes: number): void
}

/** What is published for a change of a row, instead of an event of ours. */
export type PublishChange = (change: CapturedChange) => readonly PublishWrite[] | Promise<readonly PublishWrite[]>

/** What takes until something else was waited for, or nothing. */
type Soon = Promise<void> | undefined

/** Room that the attributes of an event take in a record, generously, in bytes. */
const attributeBytes = 2_000

/** Makes the events of changes (docs/formats/change-events.md). */
export class ChangeEvents {
  readonly #source: string
  readonly #sink: EventSink
  readonly #publish: PublishChange | undefined

  constructor(source: string, sink: EventSink, publish: PublishChange | undefined) {
    this.#source = source
    this.#sink = sink
    this.#publish = publish
  }

  /** Publishes a change of a row. */
  row(
    table: CapturedTable,
    change: Exclude<Change, { kind: 'truncate' }>,
    stamp: TransactionStamp,
    index: number,
  ): Soon {
    const id = `${stamp.idPrefix}-${index}`
    const data = { lsn: stamp.lsn, transaction: stamp.of(index) }
    if (change.kind === 'insert') {
      const after = rowOf(table, change.after)
      return this.#add(
        table,
        'inserted',
        id,
        stamp.time,
        { ...after, ...data, before: null, key: keyOf(table, after.after) },
        change.bytes,
      )
    }
    if (change.kind === 'delete') {
      const before = oldRowOf(table, change.before)
      return this.#add(
        table,
        'deleted',
        id,
        stamp.time,
        { ...data, before, after: null, key: keyOf(table, before) },
        change.bytes,
      )
    }
    return this.#update(table, change, stamp, id, data)
  }

  #update(
    table: CapturedTable,
    change: Extract<Change, { kind: 'update' }>,
    stamp: TransactionStamp,
    id: string,
    data: { readonly lsn: string; readonly transaction: ChangeTransaction },
  ): Soon {
    const before = change.before === undefined ? null : oldRowOf(table, change.before)
    const after = rowOf(table, change.after, change.before)
    const key = keyOf(table, after.after)
    const oldKey = before === null ? key : keyOf(table, before)
    if (oldKey === null || key === null || partitionKeyOf(table, oldKey) === partitionKeyOf(table, key)) {
      return this.#add(table, 'updated', id, stamp.time, { ...after, ...data, before, key }, change.bytes)
    }
    // Each of the two rows has its own key, and so its own order.
    const gone = { ...data, before, after: null, key: oldKey, movedTo: key }
    const come = { ...after, ...data, before: null, key, movedFrom: oldKey }
    const rest = this.#add(table, 'deleted', `${id}-from`, stamp.time, gone, change.bytes)
    const add = (): Soon => this.#add(table, 'inserted', `${id}-to`, stamp.time, come, change.bytes)
    return rest === undefined ? add() : rest.then(add)
  }

  /** Publishes a row that the snapshot found. `run` names the snapshot. */
  found(table: CapturedTable, { key, row, bytes }: FoundRow, run: string, lsn: Lsn, time: string): Soon {
    const id = `${run}-found-${table.fullName}-${encodeURIComponent(key)}`
    const data = { after: row, key: keyOf(table, row), before: null, lsn: lsnText(lsn), transaction: null }
    return this.#add(table, 'found', id, time, data, bytes)
  }

  /** Publishes that all rows are gone. */
  truncated(table: CapturedTable, stamp: TransactionStamp, index: number): void {
    const { schema, name, topic } = table
    for (let partition = 0; partition < topic.partitionCount; partition++) {
      const place = { partition, partitionCount: topic.partitionCount }
      const data = { schema, table: name, lsn: stamp.lsn, transaction: stamp.of(index), ...place }
      this.#broadcast(table, 'truncated', `${stamp.idPrefix}-${index}-${table.fullName}-${partition}`, stamp.time, data)
    }
  }

  /** Publishes what a table looks like from here on. */
  described(table: CapturedTable, previous: TableDescription | null, lsn: Lsn, index: number, time: string): void {
    const { schema, name, topic, description } = table
    for (let partition = 0; partition < topic.partitionCount; partition++) {
      const data: TableSchema = {
        schema,
        table: name,
        lsn: lsnText(lsn),
        ...description,
        previous,
        ...differences(previous, description),
        partition,
        partitionCount: topic.partitionCount,
      }
      const id = `${sortableLsn(lsn)}-${index}-described-${table.fullName}-${partition}`
      this.#broadcast(table, 'described', id, time, deepFrozen(data))
    }
  }

  /** Publishes that no more changes of a table come under its name. */
  left(
    table: Pick<CapturedTable, 'schema' | 'name' | 'fullName' | 'topic'>,
    departure: Pick<TableDeparture, 'reason' | 'renamedTo' | 'previous'>,
    lsn: Lsn,
    index: number,
    time: string,
  ): void {
    const { schema, name, topic, fullName } = table
    const { reason, renamedTo, previous } = departure
    const { partitionCount } = topic
    for (let partition = 0; partition < partitionCount; partition++) {
      const told = { reason, renamedTo, lsn: lsnText(lsn), previous, partition, partitionCount }
      const id = `${sortableLsn(lsn)}-${index}-left-${fullName}-${partition}`
      this.#broadcast(table, 'left', id, time, deepFrozen({ schema, table: name, ...told }))
    }
  }

  #broadcast(
    table: Pick<CapturedTable, 'fullName' | 'topic'>,
    what: string,
    id: string,
    time: string,
    data: TableTruncation | TableSchema | TableDeparture,
  ): void {
    const attributes = { partitionkey: table.fullName }
    const message = sealMessage(
      `${table.fullName}.${what}`,
      id,
      this.#source,
      time,
      'application/json',
      1,
      Object.freeze(data),
      attributes,
      undefined,
    )
    this.#sink.addTo(table.topic.name, data.partition, message)
  }

  #add(
    table: CapturedTable,
    what: CapturedChange['what'],
    id: string,
    time: string,
    change: Omit<RowChange, 'schema' | 'table'>,
    bytes: number,
  ): Soon {
    const { schema, name, fullName, topic } = table
    const { key, before, after, lsn, transaction, ...rest } = change
    const data: RowChange = { schema, table: name, key, before, after, lsn, transaction, ...rest }
    if (this.#publish !== undefined) {
      const writes = this.#publish(Object.freeze({ what, id, time, data: Object.freeze(data) }))
      if (!(writes instanceof Promise)) return this.#sink.addWrites(writes, bytes) as undefined
      return writes.then((found) => this.#sink.addWrites(found, bytes))
    }
    const bytesMax = topic.recordBytesMax - attributeBytes
    // JSON makes at most six bytes of one (a control character).
    const fitting = Object.freeze(bytes * 6 < bytesMax ? data : shortened(data, bytesMax))
    const attributes = { partitionkey: partitionKeyOf(table, key) }
    const type = `${fullName}.${what}`
    const message = sealMessage(type, id, this.#source, time, 'application/json', 1, fitting, attributes, undefined)
    this.#sink.add(topic.name, message, bytes)
    return undefined
  }
}

function deepFrozen<Value>(value: Value): Value {
  if (typeof value === 'object' && value !== null) {
    for (const part of Object.values(value)) deepFrozen(part)
    Object.freeze(value)
  }
  return value
}
