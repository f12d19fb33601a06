import type { Engine, TopicDescription } from '../engine/index.ts'
import { attributeTextProblem } from '../message/index.ts'
import { type PublishedTable, readAttributes, readPublishedTables, readTypeNames, readTypeShapes } from './catalog.ts'
import type { TableName } from './change-data.ts'
import { type ReadValue, readerOf, type TypeShape, userTypeOidMin } from './column-values.ts'
import {
  CaptureKeyUnknownError,
  CapturePublicationMissingError,
  CaptureTableKeylessError,
  CaptureTablesAlikeError,
} from './errors.ts'
import type { PgClient } from './pg-client.ts'
import type { Relation } from './pgoutput.ts'
import { describeTable, namesKey, type TableDescription } from './table-description.ts'
import { keyIndexesOf } from './table-key.ts'

/** Where the events of a table go. */
export interface TableTopic {
  readonly name: string
  readonly partitionCount: number
  readonly recordBytesMax: number
}

/** How a column gets from a row into an event. */
export interface CapturedColumn {
  readonly name: string
  readonly isKey: boolean
  readonly read: ReadValue
}

/** A table as changes of it are read and published, until it is altered. */
export interface CapturedTable {
  readonly schema: string
  readonly name: string
  /** `schema.name`: what its events are named by. */
  readonly fullName: string
  readonly columns: readonly CapturedColumn[]
  readonly keyIndexes: readonly number[]
  readonly topic: TableTopic
  readonly description: TableDescription
  /** As it stands in the stream, or in the catalog. */
  readonly relation: Relation
}

/** Finds the topic of a table. */
export type TopicOfTable = (table: TableName) => string

/** Where nothing of ours is published. */
const noTopic: TableTopic = { name: '', partitionCount: 0, recordBytesMax: Number.POSITIVE_INFINITY }

/** The tables of a publication, as they stand in the catalog and as the stream tells of them. */
export class CapturedTables {
  readonly #client: PgClient
  readonly #engine: Engine
  readonly #publication: string
  readonly #topicOf: TopicOfTable | undefined
  #published: readonly PublishedTable[] = []
  readonly #topics = new Map<string, TableTopic>()
  readonly #shapes = new Map<number, TypeShape>()
  readonly #askedTypes = new Set<number>()

  private constructor(client: PgClient, engine: Engine, publication: string, topicOf: TopicOfTable | undefined) {
    this.#client = client
    this.#engine = engine
    this.#publication = publication
    this.#topicOf = topicOf
  }

  /** @throws CapturePublicationMissingError, CaptureTableKeylessError, CaptureTablesAlikeError, and what client and engine throw */
  static async load(
    client: PgClient,
    engine: Engine,
    publication: string,
    topicOf: TopicOfTable | undefined,
  ): Promise<CapturedTables> {
    const tables = new CapturedTables(client, engine, publication, topicOf)
    await tables.reload()
    if (tables.published.length === 0) throw new CapturePublicationMissingError(publication)
    return tables
  }

  /**
   * Looks again which tables are published. That none is left is told of by the events of those that were.
   * @throws CaptureTableKeylessError, CaptureTablesAlikeError, and what the client throws
   */
  async reload(): Promise<void> {
    const published = await readPublishedTables(this.#client, this.#publication)
    checkTables(published)
    this.#published = published
  }

  get published(): readonly PublishedTable[] {
    return this.#published
  }

  /** Whether a table is known to be published under this name. */
  isPublished({ id, schema, name }: Relation): boolean {
    return this.#published.some(
      ({ relation }) => relation.id === id && relation.schema === schema && relation.name === name,
    )
  }

  /**
   * All that it takes to publish changes of a table that looks so.
   *
   * @param described What it was told to look like last; `null` where the relation is what the catalog has now.
   * @throws CaptureKeyUnknownError, and what client and engine throw
   */
  async resolve(relation: Relation, described: TableDescription | null): Promise<CapturedTable> {
    const typeNames = await readTypeNames(this.#client, relation.columns)
    await this.#learnTypes(relation)
    const description = describeTable(relation, typeNames, await this.#keyIndexes(relation, described))
    const columns = description.columns.map(({ name, isKey, typeOid }) => ({
      // No message can hold the one name that reaches into prototypes.
      name: name === '__proto__' ? '_proto_' : name,
      isKey,
      read: readerOf(typeOid, this.#shapes),
    }))
    const { schema, name } = relation
    return {
      schema,
      name,
      fullName: fullNameOf(relation),
      columns,
      keyIndexes: columns.flatMap(({ isKey }, index) => (isKey ? [index] : [])),
      topic: await this.#topic({ schema, name }),
      description,
      relation,
    }
  }

  async #keyIndexes(relation: Relation, described: TableDescription | null): Promise<readonly number[]> {
    if (namesKey(relation)) return []
    const attributes = await readAttributes(this.#client, relation.id)
    const published = this.#published.find((table) => table.relation.id === relation.id)?.relation.columns.length
    const columnCount = attributes.filter(({ isDropped }) => !isDropped).length
    const key = keyIndexesOf(relation, described, attributes, published === undefined || published === columnCount)
    if (key === undefined) throw new CaptureKeyUnknownError(fullNameOf(relation))
    return key
  }

  async #learnTypes({ columns }: Relation): Promise<void> {
    const unknown = columns
      .map(({ typeOid }) => typeOid)
      .filter((oid) => oid >= userTypeOidMin && !this.#askedTypes.has(oid))
    if (unknown.length === 0) return
    for (const [oid, shape] of await readTypeShapes(this.#client, unknown)) this.#shapes.set(oid, shape)
    for (const oid of unknown) this.#askedTypes.add(oid)
  }

  /** Where events of a table went; one that nobody has kept is not made anew. */
  async topicThatIsThere(table: TableName): Promise<TableTopic> {
    const name = this.#topicOf?.(table)
    const found = name === undefined ? undefined : await this.#engine.topics.describe(name)
    return found === undefined ? noTopic : topicOfDescription(found)
  }

  async #topic(table: TableName): Promise<TableTopic> {
    const name = this.#topicOf?.(table)
    if (name === undefined) return noTopic
    const known = this.#topics.get(name)
    if (known !== undefined) return known
    const topic = topicOfDescription(await this.#engine.topics.ensure(name))
    this.#topics.set(name, topic)
    return topic
  }
}

function topicOfDescription({ name, partitions, config }: TopicDescription): TableTopic {
  return { name, partitionCount: partitions.length, recordBytesMax: config.recordBytesMax }
}

/** @throws CaptureTableKeylessError, CaptureTablesAlikeError */
export function checkTables(published: readonly PublishedTable[]): void {
  const keyless = published.filter(({ orderedBy }) => orderedBy.length === 0)
  if (keyless.length > 0) throw new CaptureTableKeylessError(keyless.map(({ relation }) => fullNameOf(relation)))
  for (const [fullName, alike] of Map.groupBy(published, ({ relation }) => fullNameOf(relation))) {
    if (alike.length > 1) {
      throw new CaptureTablesAlikeError(
        fullName,
        alike.map(({ relation }) => ({ schema: relation.schema, name: relation.name })),
      )
    }
  }
}

/** `schema.name`, in a form that attributes of a message can have. */
export function fullNameOf({ schema, name }: TableName): string {
  const plain = `${schema}.${name}`
  return attributeTextProblem(plain) === undefined ? plain : `${encodeURIComponent(schema)}.${encodeURIComponent(name)}`
}
