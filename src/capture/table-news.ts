import { channels } from '../telemetry/index.ts'
import { type CapturedTable, type CapturedTables, fullNameOf, type TableTopic } from './captured-table.ts'
import { readPublishedTables } from './catalog.ts'
import type { ChangeEvents } from './change-events.ts'
import { type Departure, findDepartures } from './departures.ts'
import { flushLog } from './log-end.ts'
import type { Lsn } from './lsn.ts'
import { type Moment, readMoment } from './moment.ts'
import type { PgClient } from './pg-client.ts'
import type { Place } from './place.ts'
import { isSameForm, isSameTable, namesKey } from './table-description.ts'

/** What tells of tables. */
export interface TableNewsParts {
  readonly slot: string
  readonly publication: string
  /** For statements. */
  readonly client: PgClient
  readonly tables: CapturedTables
  readonly place: Place
  readonly events: ChangeEvents
}

/** What a look at the catalog has shown. */
interface Found {
  readonly departures: readonly Departure[]
  /** Tables that look as they were described, but have another primary key by now. */
  readonly rekeyed: readonly CapturedTable[]
  readonly moment: Moment
}

/** Tells what tables look like, and that they have left: once each, since the place remembers what was told. */
export class TableNews {
  readonly #parts: TableNewsParts
  #found: Found | undefined

  constructor(parts: TableNewsParts) {
    this.#parts = parts
  }

  /** Whether what a look has shown waits for the stream. */
  get isWaiting(): boolean {
    return this.#found !== undefined
  }

  /** Tells what a table looks like from here on. `false`: it was told before. */
  describe(table: CapturedTable, lsn: Lsn, index: number, time: string): boolean {
    const { events, place } = this.#parts
    const { description, fullName } = table
    const last = place.table(fullName)?.description
    if (last && isSameTable(last, description)) return false
    if (last && last.tableOid !== description.tableOid) {
      const departure = { fullName, tableOid: last.tableOid, reason: 'replaced', renamedTo: null } as const
      this.#leave(departure, table.topic, lsn, index, time)
    }
    const note = place.table(fullName)
    events.described(table, note?.description ?? null, lsn, index, time)
    place.remember(table, { description, snapshot: note?.snapshot ?? { kind: 'none' } })
    return true
  }

  /**
   * Looks for tables that were dropped, renamed or taken out of the publication, and for keys that became others where the log does
   * not name them. The log says nothing of that, so what the catalog shows is told of where the stream has come to the moment of the
   * look: after all changes that the tables still had.
   */
  async look(): Promise<void> {
    if (this.isWaiting) return
    const { client, publication, place } = this.#parts
    const departures = await findDepartures(client, publication, place)
    const rekeyed = await this.#findRekeyed()
    if (departures.length === 0 && rekeyed.length === 0) return
    // A moment after the look: what it has shown, and all changes before that, were committed before.
    this.#found = { departures, rekeyed, moment: await readMoment(client) }
    await flushLog(client)
  }

  async #findRekeyed(): Promise<readonly CapturedTable[]> {
    const { client, publication, place, tables } = this.#parts
    const isInDoubt = (name: string): boolean =>
      ['full', 'nothing'].includes(place.table(name)?.description?.replicaIdentity ?? '')
    if (!place.tableNames.some(isInDoubt)) return []
    const found: CapturedTable[] = []
    for (const { relation, primaryKey } of await readPublishedTables(client, publication)) {
      const described = place.table(fullNameOf(relation))?.description
      if (namesKey(relation) || !described || primaryKey.length === 0 || !isSameForm(described, relation)) continue
      if (described.columns.every(({ name, isKey }) => isKey === primaryKey.includes(name))) continue
      const table = await tables.resolve(relation, null)
      if (table.keyIndexes.length > 0) found.push(table)
    }
    return found
  }

  /** The stream has come so far: tells what is due, and names the tables that it is about. */
  async tell(lsn: Lsn): Promise<ReadonlySet<string>> {
    const { place, tables } = this.#parts
    const names = new Set<string>()
    if (this.#found === undefined || lsn < this.#found.moment.lsn) return names
    const { departures, rekeyed, moment } = this.#found
    this.#found = undefined
    for (const table of rekeyed) {
      const described = place.table(table.fullName)?.description
      // One that was altered meanwhile is looked at again.
      if (!described || !isSameForm(described, table.relation)) continue
      this.describe(table, moment.lsn, 0, moment.time)
      names.add(table.fullName)
    }
    for (const departure of departures) {
      const note = place.table(departure.fullName)
      // One that has come back meanwhile, as another table, was told of by that.
      if (note === undefined || note.description?.tableOid !== departure.tableOid) continue
      this.#leave(departure, await tables.topicThatIsThere(note), moment.lsn, 0, moment.time)
      names.add(departure.fullName)
    }
    return names
  }

  /** Of a table that leaves nothing is known when it comes back. */
  #leave(departure: Departure, topic: TableTopic, lsn: Lsn, index: number, time: string): void {
    const { events, place, slot } = this.#parts
    const { fullName, reason, renamedTo } = departure
    const note = place.table(fullName)
    if (note === undefined) return
    const { schema, name, description } = note
    place.remember(note, { description: null, snapshot: { kind: 'none' } })
    if (description === null) return
    events.left({ schema, name, fullName, topic }, { reason, renamedTo, previous: description }, lsn, index, time)
    const { captureTableLeft } = channels
    if (captureTableLeft.hasSubscribers) captureTableLeft.publish({ slot, schema, table: name, reason, renamedTo })
  }
}
