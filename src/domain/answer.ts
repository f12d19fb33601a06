import type { StandardSchemaV1 } from '@standard-schema/spec'
import { frozenJson, type Json, OptionsInvalidError } from '../kernel/index.ts'
import {
  type AnyQueryDefinition,
  DataInvalidError,
  type Message,
  type MessageOf,
  type QueryResult,
  validateNow,
} from '../message/index.ts'
import type { View } from './view.ts'
import type { ViewReader } from './view-reader.ts'

/** What an answer may read. */
export interface AnswerContext {
  /** A view of the app. @throws ViewUnknownError `VIEW_UNKNOWN` */
  view<State>(view: View<State>): ViewReader<State>
  /** The app's clock, in milliseconds since 1970. */
  readonly nowMs: () => number
}

/** Answers a query. Made by {@link answer}. */
export interface Answer {
  readonly kind: 'answer'
  /** Type of the query. */
  readonly name: string
  readonly query: AnyQueryDefinition
  /** The answer, checked. */
  run(query: Message, ctx: AnswerContext): Promise<Json>
}

/**
 * Declares who answers a query: its one handler, as a part of a service. It changes nothing, so nothing of it is retried or
 * kept.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`
 *
 * @example
 * ```ts
 * const getBalance = answer(GetBalance, async ({ data }, ctx) => {
 *   const found = await ctx.view(balances).get(data.accountId)
 *   return { balance: found?.balance ?? 0 }
 * })
 * ```
 */
export function answer<Query extends AnyQueryDefinition>(
  definition: Query,
  run: (query: MessageOf<Query>, ctx: AnswerContext) => QueryResult<Query> | Promise<QueryResult<Query>>,
): Answer {
  const problems = [
    ...(definition?.messageKind === 'query' ? [] : [{ option: 'query', problem: 'is no definition of a query' }]),
    ...(typeof run === 'function' ? [] : [{ option: 'run', problem: 'is not a function' }]),
  ]
  if (problems.length > 0) throw new OptionsInvalidError('answer()', problems)
  return Object.freeze({
    kind: 'answer',
    name: definition.type,
    query: definition,
    run: async (query: Message, ctx: AnswerContext) => {
      const current = definition.read(query) as MessageOf<Query>
      return checkedResult(definition, await run(current, ctx))
    },
  })
}

/** A result as its schema makes it. @throws DataInvalidError `DATA_INVALID`, SchemaAsyncError `SCHEMA_ASYNC` */
export function checkedResult(definition: AnyQueryDefinition, result: unknown): Json {
  const schema: StandardSchemaV1 = definition.result
  const checked = validateNow(schema, result, definition.type)
  if (checked.issues === undefined) return frozenJson(checked.value, 'result') as Json
  const issues = checked.issues.map(({ path = [], message }) => {
    const names = path.map((part) => String(typeof part === 'object' ? part.key : part))
    return { path: ['result', ...names].join('.'), message }
  })
  throw new DataInvalidError(definition.type, definition.version, issues)
}
