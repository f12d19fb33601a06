import type { WriteBatch } from '../engine/index.ts'

/**
 * What a commit changes whose order can be seen, by names: keys of topics, partitions that are written without a key, namespaces of
 * state, owners of timers.
 */
export function touchedBy({ publish = [], state = [], timers = [] }: WriteBatch): readonly string[] {
  const touched: string[] = []
  for (const { topic, partition, messages = [], records = [] } of publish) {
    const keys = [...messages.map(({ partitionkey }) => partitionkey ?? null), ...records.map(({ key }) => key)]
    for (const key of keys) {
      if (key !== null) touched.push(`key ${topic} ${textOf(key)}`)
      // Those that the engine shares out as it likes have no order among them.
      else if (partition !== undefined) touched.push(`partition ${topic} ${partition}`)
    }
  }
  for (const { namespace } of state) touched.push(`state ${namespace}`)
  for (const { owner } of timers) touched.push(`timer ${owner}`)
  return touched
}

function textOf(key: string | Uint8Array): string {
  return Buffer.from(key as string).toString('latin1')
}
