import { freezeParsedJson, type Json, MillraceError } from '../kernel/index.ts'
import { parseArrayText, type TextArray } from './array-text.ts'

/** Turns a value from the text that the server writes into what an event holds. */
export type ReadValue = (text: string) => Json

/** What a type is made of, where that matters: the elements of an array, the type below a domain. */
export interface TypeShape {
  readonly kind: 'array' | 'domain'
  readonly of: number
}

const asText: ReadValue = (text) => text

/** Infinite values and NaN are no numbers in JSON: they stay text. */
const asNumber: ReadValue = (text) => {
  const value = Number(text)
  return Number.isFinite(value) ? value : text
}

/** `2026-01-31 12:00:00.5` → `2026-01-31T12:00:00.5`; infinite and ancient ones stay as they are. */
const asTimestamp = (text: string): string =>
  /^\d{4}-\d\d-\d\d /.test(text) && !text.endsWith('BC') ? `${text.slice(0, 10)}T${text.slice(11)}` : text

/** The session's time zone is UTC, which is written `+00`. */
const asInstant: ReadValue = (text) => asTimestamp(text).replace(/\+00$/, 'Z')

const asBase64: ReadValue = (text) =>
  text.startsWith('\\x') ? Buffer.from(text.slice(2), 'hex').toString('base64') : text

/** What JSON cannot keep here (too deep, a key that reaches into prototypes) stays text. */
const asJson: ReadValue = (text) => {
  try {
    return freezeParsedJson(JSON.parse(text) as Json)
  } catch (error) {
    if (error instanceof SyntaxError || error instanceof MillraceError) return text
    throw error
  }
}

/** By the ids that PostgreSQL gives its own types (`pg_type.dat`). What is not here is text. */
const readers: ReadonlyMap<number, ReadValue> = new Map([
  [16, (text: string) => text === 't'], // boolean
  [17, asBase64], // bytea
  [21, asNumber], // smallint
  [23, asNumber], // integer
  [26, asNumber], // oid
  [114, asJson], // json
  [700, asNumber], // real
  [701, asNumber], // double precision
  [1114, asTimestamp], // timestamp
  [1184, asInstant], // timestamp with time zone
  [3802, asJson], // jsonb
])

/**
 * Arrays of PostgreSQL's own types, by the type of their elements: all that a column can have (`pg_type.dat`). Those of `box` are written
 * differently: they stay text.
 */
const arrays: ReadonlyMap<number, number> = new Map([
  [1000, 16],
  [1001, 17],
  [1002, 18],
  [1003, 19],
  [1016, 20],
  [1005, 21],
  [1006, 22],
  [1007, 23],
  [1008, 24],
  [1009, 25],
  [1028, 26],
  [1010, 27],
  [1011, 28],
  [1012, 29],
  [1013, 30],
  [199, 114],
  [143, 142],
  [1017, 600],
  [1018, 601],
  [1019, 602],
  [1027, 604],
  [629, 628],
  [651, 650],
  [1021, 700],
  [1022, 701],
  [719, 718],
  [775, 774],
  [791, 790],
  [1040, 829],
  [1041, 869],
  [1034, 1033],
  [1014, 1042],
  [1015, 1043],
  [1182, 1082],
  [1183, 1083],
  [1115, 1114],
  [1185, 1184],
  [1187, 1186],
  [1270, 1266],
  [1561, 1560],
  [1563, 1562],
  [1231, 1700],
  [2201, 1790],
  [2207, 2202],
  [2208, 2203],
  [2209, 2204],
  [2210, 2205],
  [2211, 2206],
  [2951, 2950],
  [2949, 2970],
  [3221, 3220],
  [3643, 3614],
  [3645, 3615],
  [3735, 3734],
  [3770, 3769],
  [3807, 3802],
  [3905, 3904],
  [3907, 3906],
  [3909, 3908],
  [3911, 3910],
  [3913, 3912],
  [3927, 3926],
  [4073, 4072],
  [4090, 4089],
  [4097, 4096],
  [4192, 4191],
  [6150, 4451],
  [6151, 4532],
  [6152, 4533],
  [6153, 4534],
  [6155, 4535],
  [6157, 4536],
  [5039, 5038],
  [271, 5069],
])

/** Types from here on were made with the database (those of `information_schema`, rows of the catalog) or by users: only the catalog knows them. */
export const userTypeOidMin = 10_000

/** How values of a type are read. `shapes` knows the types of users. */
export function readerOf(typeOid: number, shapes: ReadonlyMap<number, TypeShape>): ReadValue {
  const element = arrays.get(typeOid)
  if (element !== undefined) return arrayOf(readerOf(element, shapes))
  const shape = typeOid < userTypeOidMin ? undefined : shapes.get(typeOid)
  if (shape === undefined) return readers.get(typeOid) ?? asText
  const inner = readerOf(shape.of, shapes)
  return shape.kind === 'domain' ? inner : arrayOf(inner)
}

function arrayOf(readItem: ReadValue): ReadValue {
  const read = (array: TextArray): Json =>
    Object.freeze(
      array.map((item) => {
        if (item === null) return null
        return typeof item === 'string' ? readItem(item) : read(item)
      }),
    )
  return (text) => {
    const array = parseArrayText(text)
    return array === undefined ? text : read(array)
  }
}
