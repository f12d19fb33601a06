import { quoted } from '../sql/index.ts'
import type { TypeShape } from './column-values.ts'
import { CaptureProtocolError } from './errors.ts'
import { type Lsn, parseLsn } from './lsn.ts'
import { literal, type PgClient, type TextRow } from './pg-client.ts'
import type { Relation, RelationColumn, ReplicaIdentity } from './pgoutput.ts'
import type { Attribute } from './table-key.ts'

/** A table of a publication as it stands now. */
export interface PublishedTable {
  readonly relation: Relation
  /** Names of the columns of the primary key, in the order of its index; without one, of the replica identity. */
  readonly orderedBy: readonly string[]
  /** Their types as SQL takes them, below all domains. */
  readonly orderedByTypes: readonly string[]
  /** Schemas in which the operators of their types are found. */
  readonly operatorSchemas: readonly string[]
  /** Those of the primary key only. */
  readonly primaryKey: readonly string[]
  /** Its rows stand in partitions. */
  readonly isPartitioned: boolean
  /** Condition under which rows are published, as SQL. */
  readonly filter: string | null
}

/** A replication slot as the server shows it. */
export interface SlotState {
  readonly plugin: string | null
  readonly isLogical: boolean
  readonly isOfThisDatabase: boolean
  readonly isActive: boolean
  /** `lost`: the server has removed what the slot needs. */
  readonly walStatus: string | null
  /** From here on changes come; `undefined`: it is being made, until all transactions that run have ended. */
  readonly confirmedLsn: Lsn | undefined
  /** Bytes of log that the server keeps for it. */
  readonly retainedBytes: number
}

export async function readSlot(client: PgClient, slot: string): Promise<SlotState | undefined> {
  const text = `SELECT plugin, slot_type, database = current_database() AS is_here, active, wal_status,
      confirmed_flush_lsn::text AS confirmed,
      coalesce(pg_wal_lsn_diff(pg_current_wal_lsn(), restart_lsn), 0)::text AS retained
    FROM pg_replication_slots WHERE slot_name = $1`
  const [row] = (await client.query(text, [slot])).rows
  if (row === undefined) return undefined
  return {
    plugin: row['plugin'] ?? null,
    isLogical: row['slot_type'] === 'logical',
    isOfThisDatabase: row['is_here'] === 't',
    isActive: row['active'] === 't',
    walStatus: row['wal_status'] ?? null,
    confirmedLsn: (row['confirmed'] ?? null) === null ? undefined : lsnOf(row, 'confirmed'),
    retainedBytes: Number(row['retained']),
  }
}

/** Tables of a publication; partitions do not count where it publishes through their root. */
export async function readPublishedTables(client: PgClient, publication: string): Promise<readonly PublishedTable[]> {
  // Lists of columns and conditions came with PostgreSQL 15: before, the view has no such columns.
  const text = `SELECT c.oid::text AS id, n.nspname AS schema, c.relname AS name, c.relreplident AS identity, c.relkind AS kind,
      to_jsonb(p) ->> 'rowfilter' AS filter,
      (SELECT json_agg(json_build_object('name', a.attname, 'typeOid', a.atttypid::bigint, 'typeModifier', a.atttypmod,
          'typeSql', CASE WHEN a.attnum = ANY (pk.indkey::int2[]) OR a.attnum = ANY (ri.indkey::int2[]) THEN (WITH RECURSIVE base (id, modifier) AS (
              SELECT a.atttypid, a.atttypmod
              UNION ALL SELECT t.typbasetype, t.typtypmod FROM pg_type AS t JOIN base ON t.oid = base.id WHERE t.typtype = 'd'
            ) SELECT format_type(t.oid, base.modifier) FROM base JOIN pg_type AS t ON t.oid = base.id WHERE t.typtype <> 'd') END,
          'typeSchema', (SELECT s.nspname FROM pg_type AS t JOIN pg_namespace AS s ON s.oid = t.typnamespace WHERE t.oid = a.atttypid),
          'primary', array_position((pk.indkey::int2[])[0:pk.indnkeyatts - 1], a.attnum),
          'identity', array_position((ri.indkey::int2[])[0:ri.indnkeyatts - 1], a.attnum)) ORDER BY a.attnum)
        FROM pg_attribute AS a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped AND a.attgenerated = ''
          AND (to_jsonb(p) -> 'attnames' IS NULL OR to_jsonb(p) -> 'attnames' ? a.attname)) AS columns
    FROM pg_publication_tables AS p
    JOIN pg_namespace AS n ON n.nspname = p.schemaname
    JOIN pg_class AS c ON c.relnamespace = n.oid AND c.relname = p.tablename
    LEFT JOIN pg_index AS pk ON pk.indrelid = c.oid AND pk.indisprimary
    LEFT JOIN pg_index AS ri ON ri.indrelid = c.oid AND ri.indisreplident
    WHERE p.pubname = $1 ORDER BY n.nspname, c.relname`
  return (await client.query(text, [publication])).rows.map(tableOf)
}

/** A table as the catalog has it now. */
export interface TableWhereabouts {
  readonly id: number
  readonly schema: string
  readonly name: string
  readonly isPublished: boolean
}

/** All tables of a publication, and those of the given ids that are there still. */
export async function readWhereabouts(
  client: PgClient,
  publication: string,
  oids: readonly number[],
): Promise<readonly TableWhereabouts[]> {
  const text = `SELECT c.oid::text AS id, n.nspname AS schema, c.relname AS name, p.tablename IS NOT NULL AS published
    FROM pg_class AS c JOIN pg_namespace AS n ON n.oid = c.relnamespace
    LEFT JOIN pg_publication_tables AS p ON p.pubname = $1 AND p.schemaname = n.nspname AND p.tablename = c.relname
    WHERE p.tablename IS NOT NULL OR c.oid = ANY($2::oid[])`
  return (await client.query(text, [publication, oids])).rows.map((row) => ({
    id: Number(row['id']),
    schema: row['schema'] ?? '',
    name: row['name'] ?? '',
    isPublished: row['published'] === 't',
  }))
}

interface CatalogColumn {
  readonly name: string
  readonly typeOid: number
  readonly typeModifier: number
  /** Of those in an index; else `null`. */
  readonly typeSql: string | null
  readonly typeSchema: string
  /** Place in the index, from 1. */
  readonly primary: number | null
  readonly identity: number | null
}

function tableOf(row: TextRow): PublishedTable {
  const columns = JSON.parse(row['columns'] ?? '[]') as readonly CatalogColumn[]
  const replicaIdentity = (row['identity'] ?? 'd') as ReplicaIdentity
  const primaryKey = namesOf(columns, 'primary')
  const relationColumns: RelationColumn[] = columns.map(({ name, typeOid, typeModifier, primary, identity }) => {
    const byIndex = replicaIdentity === 'd' ? primary : identity
    const isKey = replicaIdentity === 'f' || (replicaIdentity !== 'n' && byIndex !== null)
    return { name, isKey, typeOid, typeModifier }
  })
  const relation: Relation = {
    id: Number(row['id']),
    schema: row['schema'] ?? '',
    name: row['name'] ?? '',
    replicaIdentity,
    columns: relationColumns,
  }
  const orderedBy = replicaIdentity === 'i' || primaryKey.length === 0 ? namesOf(columns, 'identity') : primaryKey
  const ordering = orderedBy.flatMap((name) => columns.find((column) => column.name === name) ?? [])
  const operatorSchemas = [...new Set(['pg_catalog', ...ordering.map(({ typeSchema }) => typeSchema)])]
  return {
    relation,
    orderedBy,
    orderedByTypes: ordering.map(({ typeSql }) => typeSql ?? 'text'),
    operatorSchemas,
    primaryKey,
    isPartitioned: row['kind'] === 'p',
    filter: row['filter'] ?? null,
  }
}

function namesOf(columns: readonly CatalogColumn[], index: 'primary' | 'identity'): readonly string[] {
  return columns
    .filter((column) => column[index] !== null)
    .toSorted((a, b) => Number(a[index]) - Number(b[index]))
    .map(({ name }) => name)
}

/** All columns that a table has or had, in the order of their places; none: it is gone. */
export async function readAttributes(client: PgClient, tableOid: number): Promise<readonly Attribute[]> {
  const text = `SELECT a.attname AS name, a.atttypid::text AS type, a.attisdropped AS dropped,
      coalesce(a.attnum = ANY ((pk.indkey::int2[])[0:pk.indnkeyatts - 1]), false) AS key
    FROM pg_attribute AS a LEFT JOIN pg_index AS pk ON pk.indrelid = a.attrelid AND pk.indisprimary
    WHERE a.attrelid = $1::oid AND a.attnum > 0 AND a.attgenerated = '' ORDER BY a.attnum`
  return (await client.query(text, [tableOid])).rows.map(({ name, type, dropped, key }) => ({
    name: name ?? '',
    typeOid: Number(type),
    isDropped: dropped === 't',
    isKey: key === 't',
  }))
}

/** What types of columns are called, as `integer` or `numeric(10,2)`; one that is no longer there has no name. */
export async function readTypeNames(
  client: PgClient,
  columns: readonly RelationColumn[],
): Promise<readonly (string | null)[]> {
  const text = `SELECT format_type(t.id, t.modifier) AS name
    FROM unnest($1::oid[], $2::integer[]) WITH ORDINALITY AS t (id, modifier, place) ORDER BY t.place`
  const { rows } = await client.query(text, [
    columns.map(({ typeOid }) => typeOid),
    columns.map(({ typeModifier }) => typeModifier),
  ])
  return rows.map(({ name }) => name ?? null)
}

/** Arrays and domains among types, and among the types that these are made of. */
export async function readTypeShapes(
  client: PgClient,
  typeOids: readonly number[],
): Promise<readonly (readonly [oid: number, shape: TypeShape])[]> {
  const text = `WITH RECURSIVE found AS (
      SELECT oid, typtype, typcategory, typbasetype, typelem FROM pg_type WHERE oid = ANY($1::oid[])
      UNION SELECT t.oid, t.typtype, t.typcategory, t.typbasetype, t.typelem FROM pg_type AS t
        JOIN found AS f ON t.oid IN (f.typbasetype, CASE WHEN f.typcategory = 'A' THEN f.typelem ELSE 0 END)
    ) SELECT f.oid::text AS oid, f.typtype AS type, f.typbasetype::text AS base, f.typelem::text AS element
      FROM found AS f LEFT JOIN pg_type AS e ON e.oid = f.typelem
      WHERE f.typtype = 'd' OR (f.typcategory = 'A' AND e.typdelim = ',')`
  const { rows } = await client.query(text, [typeOids])
  return rows.map(({ oid, type, base, element }) => {
    const shape: TypeShape =
      type === 'd' ? { kind: 'domain', of: Number(base) } : { kind: 'array', of: Number(element) }
    return [Number(oid), shape]
  })
}

/** A table's name as SQL takes it. */
export function tableSql({ schema, name }: { readonly schema: string; readonly name: string }): string {
  return `${quoted(schema)}.${quoted(name)}`
}

/** The command that starts the stream (PostgreSQL manual, section 55.4). */
export function startReplicationSql(slot: string, publication: string): string {
  const names = literal(quoted(publication))
  // 0/0 stands for where the slot is.
  return `START_REPLICATION SLOT ${quoted(slot)} LOGICAL 0/0 (proto_version '1', publication_names ${names})`
}

/** A place in the log that a statement answered. @throws CaptureProtocolError */
export function lsnOf(row: TextRow | undefined, column: string): Lsn {
  const text = row?.[column] ?? ''
  const lsn = parseLsn(text)
  if (lsn === undefined) throw new CaptureProtocolError(`${JSON.stringify(text)} is no place in the log`)
  return lsn
}
