import type { ExpectedVersion } from '../events.ts'

/**
 * What a run against the model does, as data: whole numbers choose among what is there at that moment, modulo how much of
 * it there is. So any shorter run is a run as well, and a failing one shrinks to its core.
 */
export type Operation =
  | { readonly kind: 'commit'; readonly parts: readonly Part[] }
  /** Commits that do not wait for each other. */
  | { readonly kind: 'burst'; readonly batches: readonly (readonly Part[])[] }
  | { readonly kind: 'truncate-topic'; readonly topic: number; readonly partition: number; readonly share: number }
  | { readonly kind: 'truncate-stream'; readonly stream: number; readonly share: number }
  | { readonly kind: 'delete-stream'; readonly stream: number; readonly tombstone: boolean }
  | { readonly kind: 'add-tags'; readonly events: readonly number[]; readonly tags: readonly number[] }
  | { readonly kind: 'maintain'; readonly advanceMs: number }
  | { readonly kind: 'reset'; readonly partition: number; readonly share: number }
  /** The member leaves and joins again: its claims are new, the old ones are stale. */
  | { readonly kind: 'rejoin' }
  | { readonly kind: 'register'; readonly producer: number }
  | { readonly kind: 'reopen' }
  | { readonly kind: 'check' }

/** A part of a batch. */
export type Part =
  | {
      readonly kind: 'publish'
      readonly topic: number
      /** Undefined: by key, or in turn where there is none. */
      readonly partition: number | undefined
      /** One number for each record: its key, or none. */
      readonly keys: readonly (number | null)[]
      readonly form: 'messages' | 'records' | 'tombstones'
    }
  | {
      readonly kind: 'produce'
      readonly producer: number
      readonly partition: number
      readonly count: number
      /** 0: what comes next. Below: a repetition or an overlap. Above: a gap. */
      readonly shift: number
      readonly stale: boolean
    }
  | {
      readonly kind: 'append'
      readonly stream: number
      readonly types: readonly number[]
      readonly tags: readonly number[]
      readonly expected: Exclude<ExpectedVersion, number> | 'current' | 'behind'
      readonly condition:
        | { readonly tags: readonly number[]; readonly type: number | null; readonly after: number }
        | undefined
    }
  /** An earlier append once more, whole or only its first event with a new one. */
  | { readonly kind: 'repeat'; readonly append: number; readonly whole: boolean }
  | {
      readonly kind: 'set' | 'delete'
      readonly namespace: number
      readonly key: number
      readonly value: unknown
      readonly expected: 'any' | 'current' | 'wrong'
    }
  | { readonly kind: 'clear'; readonly namespace: number }
  | {
      readonly kind: 'schedule'
      readonly owner: number
      readonly id: number
      readonly dueMs: number
      readonly payload: unknown
    }
  | { readonly kind: 'cancel'; readonly owner: number; readonly id: number }
  | { readonly kind: 'fire'; readonly owner: number; readonly id: number; readonly age: number }
  | {
      readonly kind: 'progress'
      readonly partition: number
      readonly from: number
      readonly count: number
      readonly stale: boolean
    }

/** Records of these topics: plain, compacted, kept for an hour. */
export const modelTopics = [
  { name: 'plain', config: { partitions: 2 } },
  { name: 'compacted', config: { partitions: 1, cleanup: 'compact' } },
  { name: 'hourly', config: { partitions: 2, retentionMs: 3_600_000, compression: 'gzip' } },
] as const

/** Small sets of names, so that operations meet each other; some of them awkward. */
export const modelNames = {
  keys: ['a', 'b', 'é', '__proto__', '\u{1F600}', '\uff5e', 'a%', ''],
  streams: ['s', 's1', 'constructor', 'ä'],
  tags: ['t', 't:1', 'u'],
  types: ['A', 'B'],
  namespaces: ['n', '__proto__'],
  owners: ['o', 'o2'],
  ids: ['i', 'j', 'toString'],
  producers: ['p', 'q'],
  group: 'group',
} as const

/** The element that a number chooses. */
export function choose<T>(list: readonly T[], index: number): T {
  return list[index % list.length] as T
}
