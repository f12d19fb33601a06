import { describe, expect, it } from 'vitest'
import { sealMessage } from '../message/index.ts'
import { readGoldenFiles } from './golden.test-support.ts'
import { decodeBatch, decodeMessages, RecordBatchBuilder, type RecordInput, type RecordOutcome } from './index.ts'

const timestampMs = 1_764_547_200_000

function outcomesOf(batch: Uint8Array, fromOffset = 0): RecordOutcome[] {
  const outcomes: RecordOutcome[] = []
  decodeMessages(batch, (outcome) => outcomes.push(outcome), { fromOffset })
  return outcomes
}

function throughRecord(record: Partial<RecordInput>): RecordOutcome | undefined {
  const builder = new RecordBatchBuilder()
  builder.appendRaw({ key: null, value: null, timestampMs, ...record })
  return outcomesOf(builder.seal())[0]
}

function isDeepFrozen(value: unknown): boolean {
  if (typeof value !== 'object' || value === null) return true
  return Object.isFrozen(value) && Object.values(value).every(isDeepFrozen)
}

describe('foreign records', () => {
  const binary = [
    ['ce_specversion', '1.0'],
    ['ce_id', '1'],
    ['ce_source', '/elsewhere'],
    ['ce_type', 'Happened'],
  ] as const

  it('of another client are told apart, each for itself', () => {
    const golden = readGoldenFiles().find((file) => file.name === 'platformatic-cloudevents')
    const outcomes = outcomesOf(golden?.bytes ?? new Uint8Array())
    expect(outcomes.map((outcome) => outcome.kind)).toEqual([
      'message',
      'message',
      'tombstone',
      'undecodable',
      'undecodable',
    ])
    expect(outcomes[0]).toMatchObject({
      key: 'order-1',
      message: { type: 'OrderPlaced', tenant: 'acme', partitionkey: 'order-1', data: { orderId: '1' }, dataversion: 1 },
    })
    expect(outcomes[1]).toMatchObject({ message: { time: '2025-12-01T00:00:00Z', data: { orderId: '2' } } })
    expect(outcomes[2]).toMatchObject({ key: 'order-3', offset: 2 })
    expect(outcomes[3]).toMatchObject({ offset: 3, key: 'order-4', value: Uint8Array.from(Buffer.from('{"orderId":')) })
    expect(outcomes[4]).toMatchObject({ offset: 4, headers: [], error: { code: 'MESSAGE_UNDECODABLE' } })
  })

  it('without a time get the record’s own', () => {
    const outcome = throughRecord({ value: '1', headers: binary })
    expect(outcome).toMatchObject({ message: { time: '2025-12-01T00:00:00.000Z', data: 1 } })
  })

  it('may have null headers, repeated headers and plain trace headers', () => {
    const headers = [
      ...binary,
      ['gone', null],
      ['ce_tenant', null],
      ['traceparent', '00-1-1-01'],
      ['x', '1'],
      ['x', '2'],
    ]
    const outcome = throughRecord({ value: '1', headers: headers as RecordInput['headers'] & object })
    expect(outcome).toMatchObject({ kind: 'message', message: { traceparent: '00-1-1-01', data: 1 } })
    expect(outcome?.kind === 'message' && 'tenant' in outcome.message).toBe(false)
  })

  it('may have keys that are no text', () => {
    const key = Uint8Array.of(0xff, 0x00, 0x80)
    expect(throughRecord({ key, value: '1', headers: binary })).toMatchObject({ kind: 'message', key })
    expect(throughRecord({ key })).toMatchObject({ kind: 'tombstone', key })
    expect(throughRecord({ key: '\ufffd' })).toMatchObject({ kind: 'tombstone', key: '\ufffd' })
  })

  it('without a value are tombstones, and events as well if their headers say so', () => {
    const headers = [...binary, ['x', '1']] as const
    expect(throughRecord({ key: 'k', value: null, headers })).toEqual({
      kind: 'tombstone',
      offset: 0,
      timestampMs,
      key: 'k',
      headers: headers.map(([name, text]) => [name, Uint8Array.from(Buffer.from(text))]),
      message: expect.objectContaining({
        type: 'Happened',
        time: '2025-12-01T00:00:00.000Z',
        partitionkey: 'k',
        data: undefined,
      }),
    })
    expect(throughRecord({ key: 'k', value: null, headers: binary.slice(1) })).not.toHaveProperty('message')
  })

  it('may have a key other than the attribute, and both are kept', () => {
    const differing = [
      ['abcdef', 'abcdxf'],
      ['abcdef', 'xbcdef'],
      ['a', 'b'],
      ['é', 'e'],
      ['', 'x'],
    ] as const
    for (const [key, partitionkey] of differing) {
      const headers = [
        ...[...binary.slice(0, 1), ['ce_type', 'T'], ['ce_source', '/s'], ['content-type', 'application/json']],
        ...[
          ['ce_dataversion', '1'],
          ['ce_id', '1'],
          ['ce_time', '2026-01-01T00:00:00Z'],
        ],
        ['ce_partitionkey', partitionkey],
      ] as [string, string][]
      expect(throughRecord({ key, value: '1', headers })).toMatchObject({
        kind: 'message',
        key,
        message: { partitionkey },
      })
    }
  })

  it('never bring prototypes in', () => {
    const headers = [...binary, ['content-type', 'application/json']] as const
    const refused = throughRecord({ value: '{"__proto__":{"admin":true}}', headers })
    expect(refused).toMatchObject({ kind: 'undecodable', error: { code: 'MESSAGE_UNDECODABLE' } })
    const outcome = throughRecord({ value: '{"constructor":{"prototype":1}}', headers })
    const data = outcome?.kind === 'message' ? (outcome.message.data as object) : null
    expect(Object.getPrototypeOf(data)).toBe(Object.prototype)
    expect(JSON.stringify(data)).toBe('{"constructor":{"prototype":1}}')
    expect(isDeepFrozen(data)).toBe(true)
  })
})

describe('a spoilt message among good ones', () => {
  const good = sealMessage('T', '1', '/s', '2026-01-01T00:00:00.000Z', 'application/json', 1, { a: 'b' }, {}, undefined)

  /** Three messages of Millrace, the middle one with another value or with other headers. */
  function withSpoilt(record: Partial<RecordInput>): RecordOutcome[] {
    const builder = new RecordBatchBuilder()
    builder.appendMessage(good, timestampMs)
    const [first] = decodeBatch(builder.seal())
    const { value = null, headers = [] } = first ?? {}
    builder.appendMessage(good, timestampMs)
    builder.appendRaw({ key: 'k', value, headers, timestampMs, ...record })
    builder.appendMessage(good, timestampMs)
    return outcomesOf(builder.seal())
  }

  it.each([
    ['invalid UTF-8', Buffer.from([0x22, 0xff, 0x22])],
    ['a cut-off character', Buffer.from([0x22, 0xe6, 0x9d, 0x22])],
    ['invalid JSON', Buffer.from('{"a":')],
    ['two values', Buffer.from('1 2')],
    ['a way into prototypes', Buffer.from('[{"__proto__":{"admin":true}}]')],
    ['a byte order mark', Buffer.from('\ufeff{}')],
    ['too much nesting', Buffer.from(`${'['.repeat(5000)}${']'.repeat(5000)}`)],
  ])('is reported with its bytes: %s', (_, value) => {
    const [before, spoilt, after] = withSpoilt({ value })
    expect(before).toMatchObject({ kind: 'message', offset: 0 })
    expect(after).toMatchObject({ kind: 'message', offset: 2 })
    expect(spoilt).toMatchObject({ kind: 'undecodable', offset: 1, key: 'k', error: { code: 'MESSAGE_UNDECODABLE' } })
    expect(spoilt?.kind === 'undecodable' && Buffer.from(spoilt.value).equals(value)).toBe(true)
    expect(spoilt?.kind === 'undecodable' && spoilt.headers.map(([name]) => name)).toContain('ce_id')
  })

  it('is no honest replacement character', () => {
    expect(withSpoilt({ value: '"\ufffd"' })[1]).toMatchObject({ kind: 'message', message: { data: '\ufffd' } })
  })

  it('is one without an id', () => {
    const headers = [...(decodeHeaders() ?? [])].filter(([name]) => name !== 'ce_id')
    expect(withSpoilt({ headers })[1]).toMatchObject({ kind: 'undecodable', error: { details: { place: 'id' } } })
  })

  it('is one whose headers are no UTF-8', () => {
    const headers = [...(decodeHeaders() ?? []), ['ce_subject', Uint8Array.of(0xff)] as const]
    expect(withSpoilt({ headers })[1]).toMatchObject({ kind: 'undecodable' })
  })

  function decodeHeaders(): RecordInput['headers'] {
    const builder = new RecordBatchBuilder()
    builder.appendMessage(good, timestampMs)
    return decodeBatch(builder.seal())[0]?.headers
  }
})
