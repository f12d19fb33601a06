import type { Output } from './output.ts'
import { shown, shownLines } from './text.ts'

/** What is told about an error. */
export interface ErrorFacts {
  readonly code: string
  readonly problem: string
  readonly remedy: string
  readonly details: object
}

/** Remedies that are put in other words for people at a command line. */
const remedies: Readonly<Record<string, string>> = {
  FILE_LOCKED: 'Stop that process, then run this command again; commands that only read work beside it.',
  TOPIC_UNKNOWN: 'List the topics with "millrace topics ls", or create it with "millrace topics create <topic>".',
  TOPIC_EXISTS: 'Leave it, or change it with "millrace topics alter"; --if-not-exists makes this no error.',
  GROUP_UNKNOWN: 'List the groups with "millrace groups ls"; a group is there once its app ran.',
  STREAM_UNKNOWN: 'List the streams with "millrace streams ls".',
  DEAD_LETTER_UNKNOWN: 'List them with "millrace dead-letters ls"; it may have been redriven or discarded meanwhile.',
  OFFSET_OUT_OF_RANGE: 'Show what is there with "millrace topics describe <topic>".',
}

/**
 * Code and sentences of an error. An app brings a copy of Millrace along that may be another than this one, so its errors
 * are known by what they carry, not by their class.
 */
export function factsOf(error: unknown): ErrorFacts {
  const given = (typeof error === 'object' && error !== null ? error : {}) as Partial<Record<string, unknown>>
  const { code, problem, remedy, details } = given
  if (typeof code === 'string' && typeof problem === 'string' && typeof remedy === 'string') {
    return { code, problem, remedy: remedies[code] ?? remedy, details: (details as object | undefined) ?? {} }
  }
  return {
    code: 'UNEXPECTED',
    problem: error instanceof Error ? `${error.name}: ${error.message}` : String(error),
    remedy:
      'Run the command again with --debug to see where it comes from; if it is a fault of Millrace, please report it.',
    details: typeof code === 'string' ? { code } : {},
  }
}

/** Tells of an error on stderr: two lines for people, or one JSON object; the stack only when it is asked for. */
export function reportError(output: Output, error: unknown, withStack: boolean): void {
  const facts = factsOf(error)
  const stack = withStack && error instanceof Error ? stackOf(error) : undefined
  if (output.isJson) {
    output.note(JSON.stringify({ error: { ...facts, ...(stack !== undefined && { stack }) } }))
    return
  }
  output.note(`${output.styledNote('red', `error ${facts.code}:`)} ${shownLines(facts.problem)}`)
  output.note(shown(facts.remedy))
  if (stack !== undefined) output.note(output.styledNote('dim', shownLines(stack)))
}

function stackOf(error: Error): string {
  let text = error.stack ?? String(error)
  let { cause } = error
  for (let depth = 0; depth < 5 && cause instanceof Error; depth++) {
    text += `\nCaused by: ${cause.stack ?? String(cause)}`
    cause = cause.cause
  }
  return text
}
