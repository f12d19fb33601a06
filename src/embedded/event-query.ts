import type { EventQuery, EventQueryItem, StoredEvent } from '../engine/index.ts'
import { eventColumns, pageSql } from './event-page.ts'
import { tagLabel, typeLabel } from './store/label-index.ts'

/** A statement for a query, whose last two parameters are the position to start at and the number of events. */
export interface QuerySql {
  readonly shape: string
  readonly values: readonly string[]
}

/** SQL for the page of events of a query, in the order of positions. Labels go in by name, so the shape can be kept. */
export function querySql(query: EventQuery | undefined, isForward: boolean): QuerySql {
  const items = query?.items ?? []
  const bound = isForward ? '>=' : '<='
  const order = isForward ? 'ORDER BY position' : 'ORDER BY position DESC'
  if (items.length === 0 || items.some(isAnything)) {
    return {
      shape: pageSql(`SELECT ${eventColumns} FROM event WHERE position ${bound} ?1 ${order} LIMIT ?2 + 0`, true),
      values: [],
    }
  }
  const values: string[] = []
  const arms = items.flatMap((item) => armsOf(item, values))
  // The bounds come after the labels, so they take the next free numbers.
  const from = `position ${bound} ?${values.length + 1}`
  const positions = arms.map(
    (arm) => `SELECT one.position AS position FROM event_label AS one WHERE one.${from} AND ${arm}`,
  )
  const limit = `${order} LIMIT ?${values.length + 2} + 0`
  const found = `${positions.join(' UNION ')} ${limit}`
  return { shape: pageSql(`SELECT ${eventColumns} FROM event WHERE position IN (${found}) ${limit}`, true), values }
}

function isAnything(item: EventQueryItem): boolean {
  return (item.types?.length ?? 0) === 0 && (item.tags?.length ?? 0) === 0
}

/**
 * Conditions that each run along one stretch of the index in the order of positions, so that a page ends where it is
 * full: the first tag leads and the others are looked up, or, without tags, each type leads by itself.
 */
function armsOf(item: EventQueryItem, values: string[]): readonly string[] {
  const place = (name: string): string => {
    values.push(name)
    return `(SELECT id FROM label WHERE name = ?${values.length})`
  }
  const labels = 'FROM event_label WHERE position = one.position AND label_id IN'
  const also = (ids: readonly string[]): string => ` AND EXISTS (SELECT 1 ${labels} (${ids.join(', ')}))`
  const types = (item.types ?? []).map((type) => place(typeLabel(type)))
  const [lead, ...tags] = [...new Set(item.tags)].map((tag) => place(tagLabel(tag)))
  if (lead === undefined) return types.map((type) => `one.label_id = ${type}`)
  // Counted rather than joined by AND: hundreds of terms in a row are deeper than SQLite allows.
  const counted = (): string => ` AND (SELECT count(*) ${labels} (${tags.join(', ')})) = ${tags.length}`
  const rest = tags.length < 2 ? tags.map((tag) => also([tag])).join('') : counted()
  return [`one.label_id = ${lead}${rest}${types.length === 0 ? '' : also(types)}`]
}

/** Whether an event that was read already is one of those that a query means. */
export function matchesQuery(query: EventQuery, event: StoredEvent): boolean {
  return (
    query.items.length === 0 ||
    query.items.some(
      ({ types = [], tags = [] }) =>
        (types.length === 0 || types.includes(event.message.type)) && tags.every((tag) => event.tags.includes(tag)),
    )
  )
}
