import type { StandardSchemaV1 } from '@standard-schema/spec'
import { frozenJson, isoTime, type Json } from '../kernel/index.ts'
import type { AnyEventDefinition, Message } from '../message/index.ts'
import type { SagaDefinition } from './definition.ts'
import type { JournalDraft } from './journal.ts'

/** What data is read by: the definition of an event, or a schema, which knows no versions. */
export type DataSource = AnyEventDefinition | StandardSchemaV1

/** Whether what carries data is an event, not a schema. */
export function isEvent(source: DataSource): source is AnyEventDefinition {
  return 'messageKind' in source
}

/** By which version of an event's definition data that is kept now was made; `undefined`: it has none. */
export function versionOf(source: DataSource | undefined): number | undefined {
  return source !== undefined && isEvent(source) ? source.version : undefined
}

/**
 * Data of an event that was kept for a while, as the program at hand knows it: upcast as the event itself would be.
 *
 * @param version By which it was kept; `undefined`: nobody noted it, so it stays as it is.
 * @throws VersionUnknownError, UpcastMissingError, UpcastFailedError
 */
export function currentData(source: DataSource | undefined, data: Json, version: number | undefined): Json {
  if (source === undefined || version === undefined || !isEvent(source) || source.version === version) return data
  const kept: Message = Object.freeze({
    specversion: '1.0',
    id: 'kept',
    source: 'urn:millrace:kept',
    type: source.type,
    time: isoTime(0),
    datacontenttype: 'application/json',
    dataversion: version,
    data: frozenJson(data, 'data'),
  })
  return source.read(kept).data as Json
}

/** What an instance was started with. */
export function currentInput({ start }: SagaDefinition, { input, inputVersion }: JournalDraft): Json {
  return currentData(start, input, inputVersion)
}

/** @throws what keeps something that an instance was told from being read by the program at hand */
export function checkKept(definition: SagaDefinition, draft: JournalDraft): void {
  const { signals } = definition
  currentInput(definition, draft)
  for (const { name, data, version } of draft.inbox) currentData(signals[name], data, version)
  for (const entry of draft.entries) {
    if (entry.op !== 'signal' || entry.data?.version === undefined) continue
    currentData(signals[entry.name], entry.data.value, entry.data.version)
  }
}
