import { existsSync } from 'node:fs'
import { parseArgs } from 'node:util'

export const usage = `Checks eight orders out, in two ways that end in the same figures.

Usage: node main.ts [file] [--saga orchestration|choreography]

  file          new file in which everything is kept (default: checkout.db)
  --saga KIND   orchestration: a saga conducts (the default); choreography: each service does its part
  --help        print this`

const kinds = ['orchestration', 'choreography'] as const

/** What the command line asks for. */
export type Asked =
  | { readonly kind: 'help' }
  /** It cannot be done: why. */
  | { readonly kind: 'refused'; readonly why: string }
  | { readonly kind: 'run'; readonly file: string; readonly saga: (typeof kinds)[number] }

export function readArguments(args: readonly string[]): Asked {
  const refused = (why: string): Asked => ({ kind: 'refused', why })
  let given: { readonly saga?: string; readonly help?: boolean }
  let files: readonly string[]
  try {
    const options = { saga: { type: 'string' }, help: { type: 'boolean', short: 'h' } } as const
    const parsed = parseArgs({ args: [...args], allowPositionals: true, options })
    given = parsed.values
    files = parsed.positionals
  } catch (error) {
    return refused((error as Error).message)
  }
  if (given.help === true) return { kind: 'help' }
  const [file = 'checkout.db', ...more] = files
  if (more.length > 0) return refused('Name one file.')
  const saga = kinds.find((kind) => kind === (given.saga ?? 'orchestration'))
  if (saga === undefined) return refused(`--saga ${given.saga} is not one of ${kinds.join(', ')}.`)
  // The warehouse of this example lives in memory: it knows nothing of orders that an earlier run has checked out.
  if (existsSync(file)) return refused(`${file} is there already, with the orders of an earlier run: name a new file.`)
  return { kind: 'run', file, saga }
}
