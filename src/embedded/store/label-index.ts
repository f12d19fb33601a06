import type { DatabaseSync, StatementSync } from 'node:sqlite'
import type { EventQueryItem } from '../../engine/index.ts'

/** Labels remembered with their last position; the oldest are dropped beyond this many. */
const labelCacheMax = 200_000

interface Label {
  readonly id: number
  lastPosition: number
}

/** Types and tags share one index; the prefix keeps a tag from being taken for a type. */
export function typeLabel(type: string): string {
  return `t:${type}`
}

export function tagLabel(tag: string): string {
  return `g:${tag}`
}

/**
 * Finds events by type and tag. Most append conditions are answered from memory: an event can only match when every one
 * of its labels was used after the position in question.
 */
export class LabelIndex {
  readonly #labels = new Map<string, Label>()
  readonly #db: DatabaseSync
  readonly #select: StatementSync
  readonly #insert: StatementSync
  readonly #link: StatementSync
  readonly #unlink: StatementSync
  readonly #intersections = new Map<string, StatementSync>()

  constructor(db: DatabaseSync) {
    this.#db = db
    this.#select = db.prepare(`SELECT id, coalesce((SELECT position FROM event_label WHERE label_id = label.id
      ORDER BY position DESC LIMIT 1), 0) AS last FROM label WHERE name = ?`)
    this.#insert = db.prepare('INSERT INTO label (name) VALUES (?)')
    this.#unlink = db.prepare('DELETE FROM event_label WHERE label_id = ? AND position = ?')
    this.#link = db.prepare('INSERT OR IGNORE INTO event_label (label_id, position) VALUES (?, ?)')
  }

  /** Notes that the event at `position`, most often the last one, carries a label; returns the label's id. */
  add(name: string, position: number): number {
    let label = this.#find(name)
    if (label === undefined) {
      label = { id: Number(this.#insert.run(name).lastInsertRowid), lastPosition: 0 }
      this.#remember(name, label)
    }
    this.#link.run(label.id, position)
    label.lastPosition = Math.max(label.lastPosition, position)
    return label.id
  }

  /** Takes an event out of the index. */
  remove(typeId: number, tags: readonly string[], position: number): void {
    this.#unlink.run(typeId, position)
    for (const tag of tags) {
      const label = this.#find(tagLabel(tag))
      if (label !== undefined) this.#unlink.run(label.id, position)
    }
  }

  /** Position of an event after `after` that matches the item, 0 if there is none. The item names a type or a tag. */
  match(item: EventQueryItem, after: number): number {
    const tags: Label[] = []
    for (const tag of new Set(item.tags)) {
      const label = this.#find(tagLabel(tag))
      if (label === undefined || label.lastPosition <= after) return 0
      tags.push(label)
    }
    const types: Label[] = []
    for (const type of item.types ?? []) {
      const label = this.#find(typeLabel(type))
      if (label !== undefined && label.lastPosition > after) types.push(label)
    }
    if (types.length === 0 && (item.types?.length ?? 0) > 0) return 0
    if (tags.length === 0) return Math.max(...types.map((type) => type.lastPosition))
    if (tags.length === 1 && types.length === 0) return (tags[0] as Label).lastPosition
    const ids = [...tags, ...types].map((label) => label.id)
    const row = this.#intersection(tags.length, types.length).get(after, ...ids)
    return Number(row?.['position'] ?? 0)
  }

  /** Drops what is cached, after a transaction was rolled back or events were removed. */
  forget(): void {
    this.#labels.clear()
  }

  #find(name: string): Label | undefined {
    const known = this.#labels.get(name)
    if (known !== undefined) return known
    const row = this.#select.get(name)
    if (row === undefined) return undefined
    const label = { id: Number(row['id']), lastPosition: Number(row['last']) }
    this.#remember(name, label)
    return label
  }

  #remember(name: string, label: Label): void {
    if (this.#labels.size >= labelCacheMax) {
      const oldest = this.#labels.keys().next().value
      if (oldest !== undefined) this.#labels.delete(oldest)
    }
    this.#labels.set(name, label)
  }

  /** One event that carries all of the tags and, if any are given, one of the types. */
  #intersection(tagCount: number, typeCount: number): StatementSync {
    const shape = `${tagCount}/${typeCount}`
    let statement = this.#intersections.get(shape)
    if (statement === undefined) {
      const labels = 'FROM event_label WHERE position = one.position AND label_id IN'
      const places = (count: number): string => Array(count).fill('?').join(', ')
      // Counted rather than joined by AND: hundreds of terms in a row are deeper than SQLite allows.
      const tags = tagCount < 2 ? '' : ` AND (SELECT count(*) ${labels} (${places(tagCount - 1)})) = ${tagCount - 1}`
      const types = typeCount === 0 ? '' : ` AND EXISTS (SELECT 1 ${labels} (${places(typeCount)}))`
      statement = this.#db.prepare(
        `SELECT one.position FROM event_label AS one WHERE one.position > ? AND one.label_id = ?${tags}${types} LIMIT 1`,
      )
      if (this.#intersections.size > 100) this.#intersections.clear()
      this.#intersections.set(shape, statement)
    }
    return statement
  }
}
