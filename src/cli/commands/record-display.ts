import { isUtf8 } from 'node:buffer'
import { encodeJson, type Message } from '../../message/index.ts'
import type { RecordHeader, RecordKey } from '../../record/index.ts'
import type { Output } from '../output.ts'
import { clipped, shown, shownJson, shownTime } from '../text.ts'
import type { PlacedRecord } from './partition-feed.ts'

/** Characters of an undecodable value that a line shows. */
const previewCharactersMax = 120

/** A record as `tail --json` shows it. `message` is a CloudEvent in JSON, or `null` if the record is none. */
export function recordJson({ topic, partition, outcome }: PlacedRecord): object {
  const { kind, offset, timestampMs } = outcome
  const place = { kind, topic, partition, offset, timestamp: shownTime(timestampMs), ...keyJson(outcome.key) }
  switch (outcome.kind) {
    case 'message':
      return { ...place, message: messageJson(outcome.message) }
    case 'tombstone':
      return {
        ...place,
        message: outcome.message ? messageJson(outcome.message) : null,
        headers: headersJson(outcome.headers),
      }
    case 'undecodable': {
      const { code, problem } = outcome.error
      const error = { code, problem }
      return { ...place, message: null, error, ...valueJson(outcome.value), headers: headersJson(outcome.headers) }
    }
  }
}

/** A record as one line for people. */
export function recordLine({ topic, partition, outcome }: PlacedRecord, output: Output): string {
  const { offset, timestampMs, key } = outcome
  const place = `${output.styled('dim', shownTime(timestampMs))} ${topic}/${partition}/${offset}`
  const keyText = key === null ? '' : ` ${output.styled('cyan', `key=${shown(textOf(key))}`)}`
  switch (outcome.kind) {
    case 'message':
      return `${place}${keyText} ${output.styled('bold', shown(outcome.message.type))} ${dataText(outcome.message)}`
    case 'tombstone':
      return `${place}${keyText} ${output.styled('yellow', 'tombstone')}${eventText(outcome.message, output)}`
    case 'undecodable': {
      const preview = clipped(shown(textOf(outcome.value)), previewCharactersMax)
      return `${place}${keyText} ${output.styled('red', 'undecodable:')} ${shown(outcome.error.problem)} ${preview}`
    }
  }
}

/** The event that a record without a value is, if it is one. */
function eventText(message: Message | undefined, output: Output): string {
  return message === undefined ? '' : ` ${output.styled('bold', shown(message.type))}`
}

/** A message as a CloudEvent in JSON: bytes stand under `data_base64`. */
export function messageJson(message: Message): unknown {
  return JSON.parse(encodeJson(message))
}

/** Data of a message as one line. */
export function dataText(message: Message): string {
  const { data } = message
  if (data instanceof Uint8Array) return `${data.length} bytes of ${shown(message.datacontenttype)}`
  return data === undefined ? '' : shownJson(data)
}

function keyJson(key: RecordKey): object {
  return key instanceof Uint8Array ? { key: null, keyBase64: base64(key) } : { key }
}

function valueJson(value: Uint8Array): object {
  return isUtf8(value) ? { value: Buffer.from(value).toString('utf8') } : { valueBase64: base64(value) }
}

function headersJson(headers: readonly RecordHeader[]): readonly object[] {
  return headers.map(([name, value]) => ({ name, ...(value === null ? { value } : valueJson(value)) }))
}

function textOf(bytes: string | Uint8Array): string {
  if (typeof bytes === 'string') return bytes
  return isUtf8(bytes) ? Buffer.from(bytes).toString('utf8') : `base64:${base64(bytes)}`
}

function base64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64')
}
