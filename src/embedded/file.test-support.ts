import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterAll } from 'vitest'
import type { CommitOutcome, Engine, WriteBatch } from '../engine/index.ts'
import { frozenJson, SeededRandom, systemRandom, uuidv7, VirtualClock } from '../kernel/index.ts'
import { type Message, sealed } from '../message/index.ts'
import type { EmbeddedEngine } from './embedded-engine.ts'
import { type EmbeddedOptions, embedded } from './index.ts'
import type { ChecksummedTable } from './store/row-checksum.ts'
import { fillChecksums } from './store/schema.ts'

/** A folder of its own for a test file, removed with everything in it when the file is done. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-embedded-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

const nextId = uuidv7(new VirtualClock(), systemRandom)

/** A message as a program would make it. The id is new unless given. */
export function message(type: string, data: unknown = null, attributes: Partial<Message> = {}): Message {
  return sealed({
    specversion: '1.0',
    id: nextId(),
    source: '/test',
    type,
    time: '2026-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    dataversion: 1,
    data: data === undefined || data instanceof Uint8Array ? data : frozenJson(data),
    ...attributes,
  })
}

/** `count` messages whose data is their number, from `first`. */
export function numbered(count: number, first = 0): Message[] {
  return Array.from({ length: count }, (_, index) => message('Numbered', first + index))
}

/** An engine that is opened by a clock which stands still, and does nothing by itself. */
export function openEngine(
  path: string,
  options: Partial<EmbeddedOptions> = {},
  clock: VirtualClock = new VirtualClock(),
): Promise<EmbeddedEngine> {
  return embedded({ maintenanceIntervalMs: 0, ...options, path }).open({ clock, random: new SeededRandom(7) })
}

/** Commits a batch that must go through. */
export async function commit(engine: Engine, batch: WriteBatch): Promise<Extract<CommitOutcome, { ok: true }>> {
  const outcome = await engine.commit(batch)
  if (!outcome.ok) throw new TypeError(`the commit met a conflict: ${JSON.stringify(outcome.conflict)}`)
  return outcome
}

/** Data of all records of a partition from its start; what is no message counts as its kind. */
export async function dataOf(engine: Engine, topic: string, partition = 0): Promise<unknown[]> {
  const found: unknown[] = []
  let offset = await engine.topics.locate(topic, partition, 'earliest')
  for (;;) {
    const { records, nextOffset, latest } = await engine.topics.read({ topic, partition, offset })
    for (const record of records) found.push(record.kind === 'message' ? record.message.data : record.kind)
    if (nextOffset >= latest) return found
    offset = nextOffset
  }
}

/** The code of the error that a promise rejects with; what it resolved with, if it did. */
export async function codeOf(promise: Promise<unknown>): Promise<unknown> {
  try {
    return { resolved: await promise }
  } catch (error) {
    return (error as { readonly code?: unknown }).code ?? error
  }
}

/**
 * Changes the file behind the engine's back.
 * @param rewritten Its rows get checksums that fit, as if they had been written so.
 */
export function alter(path: string, sql: string, rewritten?: ChecksummedTable): void {
  const intruder = new DatabaseSync(path)
  intruder.enableDefensive(false)
  intruder.exec(sql)
  if (rewritten !== undefined) fillChecksums(intruder, rewritten)
  intruder.close()
}

/** SQL that changes rows of which an index goes on to say what it said. */
export function unnoticedBy(index: string, sql: string): string {
  const hidden = `CREATE TEMP TABLE hidden AS SELECT * FROM sqlite_schema WHERE name = '${index}';
    PRAGMA writable_schema = ON; DELETE FROM sqlite_schema WHERE name = '${index}'; PRAGMA writable_schema = RESET;`
  return `${hidden} ${sql}; PRAGMA writable_schema = ON; INSERT INTO sqlite_schema SELECT * FROM hidden;
    PRAGMA writable_schema = RESET`
}

/** SQL that leaves nothing in a column where something has to be, as a page that lost its bytes does; its definition stays. */
export function emptied(table: string, column: string, type: string): string {
  const define = (from: string, to: string): string => `PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, '${from}', '${to}') WHERE name = '${table}'; PRAGMA writable_schema = RESET;`
  const [strict, lax] = [`${column} ${type} NOT NULL`, `${column} ${type} /*nothing*/`]
  return `${define(strict, lax)} UPDATE ${table} SET ${column} = NULL; ${define(lax, strict)}`
}
