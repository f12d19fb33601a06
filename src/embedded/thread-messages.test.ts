import { describe, expect, it } from 'vitest'
import type { UnitResult } from '../committing/index.ts'
import type { StoreRequest } from './store/protocol.ts'
import { answerMessage, answerOf, requestMessage, requestOf } from './thread-messages.ts'

const strange = 'a "quoted" line\n\u2028 and a half pair \ud800'

const commit: StoreRequest = {
  kind: 'commit',
  timeMs: 1_700_000_000_000,
  arena: Uint8Array.of(1, 2, 3),
  units: [
    {
      batches: [
        { partitionId: 7, bytes: Uint8Array.of(4, 5), recordCount: 2, timeMaxMs: 9 },
        {
          partitionId: 8,
          bytes: Uint8Array.of(6),
          recordCount: 1,
          timeMaxMs: 9,
          producer: { producerId: 3, epoch: 0, sequence: 2 ** 31 - 1 },
        },
      ],
      appends: [],
      state: [{ kind: 'set', namespace: strange, key: 'k', value: JSON.stringify({ text: strange }), expected: -1 }],
      timers: [{ kind: 'schedule', owner: 'o', id: 't', dueMs: Number.MAX_SAFE_INTEGER, payload: 'null' }],
      progress: [{ claim: { group: 'g', topic: 't', partition: 0, epoch: 1 }, partitionId: 7, done: [0, 5, 7, 9] }],
    },
    {
      batches: [{ partitionId: 7, bytes: Uint8Array.of(7), recordCount: 1, timeMaxMs: 9 }],
      appends: [
        {
          stream: 's',
          expected: 'none',
          events: [{ identity: strange, type: 'T', tags: ['a:1'], start: 0, end: 3 }],
          condition: { query: { items: [{ types: ['T'] }] }, after: 0 },
        },
      ],
      state: [
        { kind: 'delete', namespace: 'n', key: 'k', expected: 2 },
        { kind: 'set', namespace: 'n', key: '1', value: '1', expected: 0 },
        { kind: 'clear', namespace: 'm' },
        { kind: 'set', namespace: 'n', key: '2', value: '2', expected: 0 },
      ],
      timers: [
        { kind: 'cancel', owner: 'o', id: 't' },
        { kind: 'schedule', owner: 'o', id: 'u', dueMs: 1, payload: '{"data":3}' },
      ],
      progress: [],
    },
  ],
}

describe('messages between the threads', () => {
  it('carry a commit over unchanged', () => {
    const expected = structuredClone(commit)
    const { message, buffers } = requestMessage(commit)
    expect(requestOf(structuredClone(message, { transfer: buffers }))).toEqual(expected)
  })

  it('move the memory of a commit, each piece once', () => {
    const shared = new Uint8Array(16)
    const batch = (bytes: Uint8Array) => ({ partitionId: 1, bytes, recordCount: 1, timeMaxMs: 0 })
    const unit = { appends: [], state: [], timers: [], progress: [] }
    const { buffers } = requestMessage({
      kind: 'commit',
      timeMs: 0,
      arena: new Uint8Array(),
      units: [{ ...unit, batches: [batch(shared.subarray(0, 4)), batch(shared.subarray(4, 8))] }],
    })
    expect(buffers).toEqual([shared.buffer])
  })

  it('leave every other request as it is', () => {
    const request: StoreRequest = { kind: 'maintain', nowMs: 5, ends: new Map(), onlyDue: false }
    expect(requestMessage(request)).toEqual({ message: request, buffers: [] })
    expect(requestOf(request)).toBe(request)
    expect(answerOf('maintain', answerMessage(request, null))).toBeNull()
  })

  it('carry the answers to a commit over unchanged', () => {
    const results: UnitResult[] = [
      {
        kind: 'committed',
        baseOffsets: [0, 41],
        appended: [{ stream: 's', firstVersion: 1, lastVersion: 1, lastPosition: 9, duplicate: false }],
      },
      { kind: 'conflict', conflict: { kind: 'stream-version', stream: strange, expected: 'any', actual: 3 } },
      { kind: 'refused', refusal: { kind: 'producer-fenced', producerId: 1, epoch: 0, currentEpoch: 1 } },
    ]
    expect(answerOf('commit', structuredClone(answerMessage(commit, results)))).toEqual(results)
  })
})
