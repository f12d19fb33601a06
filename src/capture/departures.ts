import { fullNameOf } from './captured-table.ts'
import { readWhereabouts } from './catalog.ts'
import type { TableDeparture, TableName } from './change-data.ts'
import type { PgClient } from './pg-client.ts'
import type { Place } from './place.ts'

/** A table of which no more changes come under its name. */
export interface Departure {
  readonly fullName: string
  /** Id of the table that was described; `undefined`: none was. */
  readonly tableOid: number | undefined
  readonly reason: TableDeparture['reason']
  readonly renamedTo: TableName | null
}

/** Compares what was told of tables with the catalog. */
export async function findDepartures(
  client: PgClient,
  publication: string,
  place: Place,
): Promise<readonly Departure[]> {
  const noted = place.tableNames.filter((name) => {
    const note = place.table(name)
    return note !== undefined && (note.description !== null || note.snapshot.kind !== 'none')
  })
  if (noted.length === 0) return []
  const oids = noted.flatMap((name) => place.table(name)?.description?.tableOid ?? [])
  const tables = await readWhereabouts(client, publication, oids)
  const published = new Map(tables.filter(({ isPublished }) => isPublished).map((table) => [fullNameOf(table), table]))
  return noted.flatMap((fullName): readonly Departure[] => {
    const tableOid = place.table(fullName)?.description?.tableOid
    const namesake = published.get(fullName)
    if (namesake !== undefined && (tableOid === undefined || namesake.id === tableOid)) return []
    if (namesake !== undefined) return [{ fullName, tableOid, reason: 'replaced', renamedTo: null }]
    const now = tables.find(({ id }) => id === tableOid)
    if (now === undefined) return [{ fullName, tableOid, reason: 'dropped', renamedTo: null }]
    if (fullNameOf(now) === fullName) return [{ fullName, tableOid, reason: 'unpublished', renamedTo: null }]
    return [{ fullName, tableOid, reason: 'renamed', renamedTo: { schema: now.schema, name: now.name } }]
  })
}
