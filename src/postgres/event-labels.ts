import { createHash } from 'node:crypto'
import type { AddedTags, EventQuery } from '../engine/index.ts'

/** Longer ones no query can name, see the checks of queries, and no index takes. */
const labelBytesMax = 1024

const typePrefix = 't:'
const tagPrefix = 'g:'

/** The label of the type, empty if no query can name it, and those of the tags. The prefix keeps one from the other. */
export function labelsOf(type: string, tags: readonly string[]): readonly string[] {
  const isNamable =
    type !== '' && Buffer.byteLength(type) <= labelBytesMax && !type.includes('\0') && type.isWellFormed()
  return [isNamable ? typePrefix + type : '', ...tags.map((tag) => tagPrefix + tag)]
}

/** The tags among the labels of an event. */
export function tagsOf(labels: readonly string[]): readonly string[] {
  return labels.length < 2 ? noTags : labels.slice(1).map((label) => label.slice(tagPrefix.length))
}

const noTags: readonly string[] = Object.freeze([])

/** A query as labels: for each item those of which an event has one, if there are any, and those of which it has all. */
export function queryLabels(
  query: EventQuery,
): readonly (readonly [types: readonly string[], tags: readonly string[]])[] {
  return query.items.map(({ types = [], tags = [] }) => [
    types.map((type) => typePrefix + type),
    [...new Set(tags)].map((tag) => tagPrefix + tag),
  ])
}

/** Positions of events with the labels that they are to have besides. */
export function taggedLabels(
  events: readonly AddedTags[],
): readonly (readonly [position: number, labels: readonly string[]])[] {
  return events.map(({ position, tags }) => [position, tags.map((tag) => tagPrefix + tag)])
}

/** What an event is known by, in hexadecimal digits: the 16 bytes of its UUID, or 32 bytes of SHA-256 of anything else. */
export function identityOf(identity: string, isUuid: boolean): string {
  return isUuid ? identity.replaceAll('-', '') : createHash('sha256').update(identity).digest('hex')
}
