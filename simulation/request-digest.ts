import type { StoreRequest } from '../src/embedded/store/protocol.ts'
import { digestOf } from './trace.ts'

/** Fields of a record batch that whoever writes it fills in: until then they hold what stood in that memory before. */
const checksumEnd = 21
const producerStart = 43
const producerEnd = 57

/** Tells requests apart by all that they say, so that two runs of a seed can be compared. */
export function requestDigest(request: StoreRequest): string {
  if (request.kind !== 'commit')
    return digestOf(JSON.stringify(request, (_key, value: unknown) => (value instanceof Map ? [...value] : value)))
  const { arena, units, timeMs } = request
  const commands = JSON.stringify({ timeMs, units }, (key, value: unknown) => (key === 'bytes' ? undefined : value))
  const events = units.flatMap(({ appends }) => appends.flatMap((append) => append.events))
  const batches = units.flatMap((unit) => unit.batches.map(({ bytes }) => bytes))
  return digestOf(
    commands,
    ...events.map(({ start, end }) => arena.subarray(start, end)),
    ...batches.flatMap((bytes) => [bytes.subarray(checksumEnd, producerStart), bytes.subarray(producerEnd)]),
  )
}
