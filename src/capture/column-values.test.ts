import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { parseArrayText, type TextArray } from './array-text.ts'
import { readerOf, type TypeShape } from './column-values.ts'

const none: ReadonlyMap<number, TypeShape> = new Map()

describe('values of columns', () => {
  it.each([
    ['boolean', 16, 't', true],
    ['boolean', 16, 'f', false],
    ['bytea', 17, '\\x00ff', 'AP8='],
    ['bytea', 17, '\\x', ''],
    ['bigint', 20, '9223372036854775807', '9223372036854775807'],
    ['smallint', 21, '-7', -7],
    ['integer', 23, '2147483647', 2_147_483_647],
    ['json', 114, '{"a": [1, null]}', { a: [1, null] }],
    ['json with a key that reaches into prototypes', 114, '{"__proto__": 1}', '{"__proto__": 1}'],
    ['jsonb', 3802, 'null', null],
    ['real', 700, '0.1', 0.1],
    ['double precision', 701, '-1.5e+300', -1.5e300],
    ['double precision', 701, 'NaN', 'NaN'],
    ['double precision', 701, '-Infinity', '-Infinity'],
    ['numeric', 1700, '10.50', '10.50'],
    ['date', 1082, '2026-01-31', '2026-01-31'],
    ['timestamp', 1114, '2026-01-31 12:00:00.000001', '2026-01-31T12:00:00.000001'],
    ['timestamp', 1114, '0044-03-15 12:00:00 BC', '0044-03-15 12:00:00 BC'],
    ['timestamp with time zone', 1184, '2026-01-31 12:00:00.5+00', '2026-01-31T12:00:00.5Z'],
    ['timestamp with time zone', 1184, 'infinity', 'infinity'],
    ['uuid', 2950, '019a9e5c-3a68-7b1e-8d0a-52f6c1a09be4', '019a9e5c-3a68-7b1e-8d0a-52f6c1a09be4'],
    ['integer[]', 1007, '{1,NULL,3}', [1, null, 3]],
    [
      'integer[][]',
      1007,
      '{{1,2},{3,4}}',
      [
        [1, 2],
        [3, 4],
      ],
    ],
    ['integer[] with bounds', 1007, '[0:1]={1,2}', [1, 2]],
    ['text[]', 1009, '{a,"b c","\\"q\\\\",""}', ['a', 'b c', '"q\\', '']],
    ['timestamptz[]', 1185, '{"2026-01-31 12:00:00+00"}', ['2026-01-31T12:00:00Z']],
    ['box[], which has semicolons', 1020, '{(1,1),(0,0);(2,2),(1,1)}', '{(1,1),(0,0);(2,2),(1,1)}'],
    ['a type that nobody knows', 99_999, 'whatever', 'whatever'],
  ])('of type %s (%i) %s', (_name, oid, text, value) => {
    expect(readerOf(oid, none)(text)).toEqual(value)
  })

  it('of types of users are those of the types below', () => {
    const shapes = new Map<number, TypeShape>([
      [20_000, { kind: 'domain', of: 23 }],
      [20_001, { kind: 'array', of: 20_000 }],
      [20_003, { kind: 'array', of: 20_002 }],
    ])
    expect(readerOf(20_000, shapes)('7')).toBe(7)
    expect(readerOf(20_001, shapes)('{7,8}')).toEqual([7, 8])
    // An array of an enumeration.
    expect(readerOf(20_003, shapes)('{red,"dark blue"}')).toEqual(['red', 'dark blue'])
  })
})

/** As the server writes arrays: what could be read as something else stands in quotes. */
function arrayText(array: TextArray): string {
  const items = array.map((item) => {
    if (item === null) return 'NULL'
    if (typeof item !== 'string') return arrayText(item)
    return /^[a-z0-9]+$/.test(item) ? item : `"${item.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`
  })
  return `{${items.join(',')}}`
}

const { array: arrays } = fc.letrec<{ array: TextArray; item: string | null | TextArray }>((tie) => ({
  array: fc.array(tie('item'), { maxLength: 6 }),
  item: fc.oneof(
    { depthSize: 'small' },
    fc.constant(null),
    fc.string(),
    fc.constantFrom('NULL', '', '{}', 'a'),
    tie('array'),
  ),
}))

describe('arrays', () => {
  it('are read back, whatever stands in them', () => {
    fc.assert(
      fc.property(arrays, (array) => {
        expect(parseArrayText(arrayText(array))).toEqual(array)
      }),
    )
  })

  it('are told from what is none', () => {
    for (const text of ['', '{', '}', '{a', '{"a', '{a}b', '{a,}', '{,a}', 'a', '[0:1]', '{"a"b}']) {
      expect(parseArrayText(text)).toBeUndefined()
    }
    fc.assert(
      fc.property(fc.string(), (text) => {
        expect(() => parseArrayText(text)).not.toThrow()
      }),
    )
  })
})
