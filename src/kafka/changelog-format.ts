import type { RecordInput } from '../record/index.ts'

/** One change of one key, as a record of a changelog holds it; see docs/formats/kafka-changelog.md. */
export interface StateRecord {
  readonly namespace: string
  readonly key: string
  /** JSON; `null`: the key was deleted. */
  readonly value: string | null
  /** 0 for a deletion. */
  readonly revision: number
}

const revisionHeader = 'revision'
const decoder = new TextDecoder('utf-8', { fatal: true })

/** The record that a changelog keeps of a change. Compaction goes by its key, so that holds the namespace too. */
export function recordOf({ namespace, key, value, revision }: StateRecord, timestampMs: number): RecordInput {
  return {
    key: JSON.stringify([namespace, key]),
    value,
    headers: value === null ? [] : [[revisionHeader, String(revision)]],
    timestampMs,
  }
}

/** The other way round; `undefined`: somebody else's record, which changes nothing. */
export function changeOf(record: {
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly (readonly [name: string, value: Uint8Array | null])[]
}): StateRecord | undefined {
  const place = record.key === null ? undefined : placeOf(record.key)
  if (place === undefined) return undefined
  const [namespace, key] = place
  if (record.value === null) return { namespace, key, value: null, revision: 0 }
  const given = record.headers.find(([name]) => name === revisionHeader)?.[1]
  const revision = Number(given == null ? Number.NaN : Buffer.from(given).toString('latin1'))
  const value = textOf(record.value)
  if (!Number.isSafeInteger(revision) || revision < 1 || value === undefined || !isJson(value)) return undefined
  return { namespace, key, value, revision }
}

function placeOf(bytes: Uint8Array): readonly [namespace: string, key: string] | undefined {
  try {
    const place = JSON.parse(textOf(bytes) ?? '') as unknown
    if (!Array.isArray(place) || place.length !== 2) return undefined
    const [namespace, key] = place as unknown[]
    return typeof namespace === 'string' && typeof key === 'string' ? [namespace, key] : undefined
  } catch {
    return undefined
  }
}

function textOf(bytes: Uint8Array): string | undefined {
  try {
    return decoder.decode(bytes)
  } catch {
    return undefined
  }
}

function isJson(text: string): boolean {
  try {
    JSON.parse(text)
    return true
  } catch {
    return false
  }
}
