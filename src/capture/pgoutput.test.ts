import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { decodeOutput, type OutputMessage, type Tuple, unchanged } from './pgoutput.ts'

const long = 'x'.repeat(3000)
const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', '').replace('LONG', '78'.repeat(3000)), 'hex')

/** What PostgreSQL 15 wrote for statements on `CREATE TABLE g (id integer PRIMARY KEY, name text, doc text)`. */
const golden: readonly (readonly [statement: string, bytes: string, message: object])[] = [
  [
    'BEGIN',
    '42 000000000199e218 000303c35023d48b 000002ea',
    { kind: 'begin', commitLsn: 0x199e218n, committedUs: 848_562_328_163_467n, xid: 746 },
  ],
  [
    'a first change',
    '52 00004015 7075626c696300 6700 64 0003 01696400 00000017 ffffffff 006e616d6500 00000019 ffffffff 00646f6300 00000019 ffffffff',
    {
      kind: 'relation',
      relation: {
        id: 16405,
        schema: 'public',
        name: 'g',
        replicaIdentity: 'd',
        columns: [
          { name: 'id', isKey: true, typeOid: 23, typeModifier: -1 },
          { name: 'name', isKey: false, typeOid: 25, typeModifier: -1 },
          { name: 'doc', isKey: false, typeOid: 25, typeModifier: -1 },
        ],
      },
    },
  ],
  [
    "INSERT … (1, 'grün', repeat('x', 3000))",
    '49 00004015 4e 0003 74 00000001 31 74 00000005 6772c3bc6e 74 00000bb8 LONG',
    { kind: 'insert', relationId: 16405, after: ['1', 'grün', long] },
  ],
  [
    "INSERT … (2, NULL, '')",
    '49 00004015 4e 0003 74 00000001 32 6e 74 00000000',
    { kind: 'insert', relationId: 16405, after: ['2', null, ''] },
  ],
  [
    "UPDATE … SET name = 'b'",
    '55 00004015 4e 0003 74 00000001 31 74 00000001 62 75',
    { kind: 'update', relationId: 16405, before: undefined, after: ['1', 'b', unchanged] },
  ],
  [
    'UPDATE … SET id = 3',
    '55 00004015 4b 0003 74 00000001 32 6e 6e 4e 0003 74 00000001 33 6e 74 00000000',
    { kind: 'update', before: { holds: 'key', values: ['2', null, null] }, after: ['3', null, ''] },
  ],
  [
    'DELETE',
    '44 00004015 4b 0003 74 00000001 33 6e 6e',
    { kind: 'delete', before: { holds: 'key', values: ['3', null, null] } },
  ],
  [
    'UPDATE under REPLICA IDENTITY FULL',
    '55 00004015 4f 0003 74 00000001 31 74 00000001 62 74 00000bb8 LONG 4e 0003 74 00000001 31 74 00000001 63 75',
    { kind: 'update', before: { holds: 'row', values: ['1', 'b', long] }, after: ['1', 'c', unchanged] },
  ],
  ['TRUNCATE', '54 00000001 00 00004015', { kind: 'truncate', relationIds: [16405] }],
  [
    'COMMIT',
    '43 00 000000000199e218 000000000199e248 000303c35023d48b',
    { kind: 'commit', commitLsn: 0x199e218n, endLsn: 0x199e248n },
  ],
]

const uint = (value: number, bytes: number): Buffer => {
  const buffer = Buffer.alloc(bytes)
  buffer.writeUIntBE(value, 0, bytes)
  return buffer
}

function encodeTuple(tuple: Tuple): Buffer {
  const values = tuple.map((value) => {
    if (value === null) return Buffer.from('n')
    if (value === unchanged) return Buffer.from('u')
    return Buffer.concat([Buffer.from('t'), uint(Buffer.byteLength(value), 4), Buffer.from(value)])
  })
  return Buffer.concat([uint(tuple.length, 2), ...values])
}

const tuples = fc.array(
  fc.oneof(fc.constant(null), fc.constant<typeof unchanged>(unchanged), fc.string({ unit: 'binary' })),
  {
    maxLength: 20,
  },
)
const ids = fc.nat(0xffff_ffff)

describe('messages of pgoutput', () => {
  it.each(golden)('are read as the server wrote them: %s', (_statement, bytes, message) => {
    expect(decodeOutput(hex(bytes))).toMatchObject(message)
  })

  it('are read back, whatever rows hold', () => {
    fc.assert(
      fc.property(ids, tuples, tuples, fc.constantFrom('K', 'O'), (relationId, before, after, tag) => {
        const old = { holds: tag === 'K' ? 'key' : 'row', values: before }
        const relation = uint(relationId, 4)
        const [oldTuple, newTuple] = [Buffer.from(tag), Buffer.from('N')].map((mark, index) =>
          Buffer.concat([mark, encodeTuple(index === 0 ? before : after)]),
        ) as [Buffer, Buffer]
        const read = (kind: string, ...parts: readonly Buffer[]): OutputMessage | undefined =>
          decodeOutput(Buffer.concat([Buffer.from(kind), relation, ...parts]))
        expect(read('I', newTuple)).toMatchObject({ kind: 'insert', relationId, after })
        expect(read('U', newTuple)).toMatchObject({ kind: 'update', relationId, before: undefined, after })
        expect(read('U', oldTuple, newTuple)).toMatchObject({ kind: 'update', relationId, before: old, after })
        expect(read('D', oldTuple)).toMatchObject({ kind: 'delete', relationId, before: old })
      }),
    )
  })

  it('are refused by name when they are cut off or say something unknown, and never read beyond', () => {
    for (const [, bytes] of golden) {
      const whole = hex(bytes)
      const step = Math.max(1, Math.floor(whole.length / 50))
      for (let length = 0; length < whole.length - 8; length += step) {
        expect(() => decodeOutput(whole.subarray(0, length))).toThrow(
          expect.objectContaining({ code: 'CAPTURE_PROTOCOL' }),
        )
      }
    }
    const outcomeOf = (bytes: Uint8Array): unknown => {
      try {
        return decodeOutput(Buffer.from(bytes))
      } catch (error) {
        return (error as { readonly code?: string }).code ?? error
      }
    }
    const isKnown = (outcome: unknown): boolean => outcome === 'CAPTURE_PROTOCOL' || !(outcome instanceof Error)
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 1, maxLength: 60 }), (bytes) => {
        expect(outcomeOf(bytes)).toSatisfy(isKnown)
      }),
    )
  })

  it('that tell nothing of rows are passed over', () => {
    for (const kind of ['O', 'Y', 'M']) expect(decodeOutput(Buffer.from(`${kind}whatever`))).toBeUndefined()
  })
})
