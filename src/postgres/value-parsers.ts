import type { PgModule } from './pg-client.ts'

type Parser = (text: string) => unknown

/**
 * What the engine's connections make of what the server writes, whatever the program has told `pg` to make of it (`setTypeParser`
 * counts for all connections of a program): texts, but for the types named here. By the object ids of `pg_type`, which do not change.
 */
export function valueParsers({ types }: PgModule): { readonly getTypeParser: (oid: number) => Parser } {
  const parsers: ReadonlyMap<number, Parser> = new Map<number, Parser>([
    [16, (text) => text === 't'], // bool
    [17, (text) => Buffer.from(text.slice(2), 'hex')], // bytea, as each session has it written
    [23, Number], // int4
    [1009, (text) => types.arrayParser.create(text, String).parse()], // text[]
    [3802, (text) => JSON.parse(text) as unknown], // jsonb
  ])
  return { getTypeParser: (oid) => parsers.get(oid) ?? String }
}
