/* oxlint-disable unicorn/no-thenable -- given, when, then are the words; awaiting it by mistake is found out */
import { isDeepStrictEqual } from 'node:util'
import { checkList } from '../committing/index.ts'
import { type Boundary, type Decider, decideCommand, isRejection, type Rejection, type View } from '../domain/index.ts'
import { ArgumentInvalidError } from '../engine/index.ts'
import { frozenJson } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { TableView } from '../tables/index.ts'
import { anotherMoment } from './another-moment.ts'
import { SpecificationFailedError } from './errors.ts'

/** What a specification of a decider or boundary says next. */
export interface DecisionSpecification<Command extends Message, Event extends Message, Code extends string> {
  /** The command that comes. */
  when(command: Command): DecisionExpectation<Event, Code>
}

/** What a decision should be. */
export interface DecisionExpectation<Event extends Message, Code extends string> {
  /** What was decided: events, or a rejection. */
  readonly decision: readonly Event[] | Rejection<Code>
  /**
   * Says what should have been decided: one event, several, none (`[]`), or a rejection.
   *
   * Events are compared by type and data, in their order. A rejection is compared by its code; by its reason and details too,
   * where these are given.
   *
   * @throws SpecificationFailedError `SPECIFICATION_FAILED`
   */
  then(expected: Event | readonly Event[] | Rejection<NoInfer<Code>>): void
}

/** What a specification of a view says next. */
export interface ViewExpectation<State> {
  /** What the view holds, by key. */
  readonly states: Readonly<Record<string, State>>
  /** Says what the view should hold: all keys with their states. @throws SpecificationFailedError `SPECIFICATION_FAILED` */
  then(expected: Readonly<Record<string, State>>): void
}

/** What a specification of a view in tables says next. */
export interface TableExpectation {
  /**
   * Says which rows a query should answer, in their order.
   *
   * @throws SpecificationFailedError `SPECIFICATION_FAILED`, and what the functions of the view and the database throw
   */
  then(query: string, expected: readonly Readonly<Record<string, unknown>>[]): Promise<void>
}

/**
 * Specifies what a decider, a boundary or a view does, in the words given, when, then. Nothing runs but its own functions, so it
 * works in any test runner and needs no engine.
 *
 * A decision is made twice and must be the same: what depends on the time or on chance is found out. Events that are given to a
 * boundary count by the tags of their definitions, as they would in the event store.
 *
 * A view in tables of your own works on its database: its setup, the events and the query are one transaction, which is rolled back. So a
 * database in memory does, `sqliteTables(new DatabaseSync(':memory:'))`, and one whose tables are empty.
 *
 * @example
 * ```ts
 * const { given } = specification(account)
 *
 * test('an account cannot be overdrawn', () => {
 *   given([Opened({ id: 'a' }), Deposited({ id: 'a', amount: 10 })])
 *     .when(Withdraw({ id: 'a', amount: 11 }))
 *     .then(reject('OVERDRAWN'))
 * })
 * ```
 */
export function specification<Command extends Message, Event extends Message, Code extends string>(
  subject: Decider<Command, Event, unknown, Code> | Boundary<Command, Event, Code>,
): { readonly given: (events: readonly Message[]) => DecisionSpecification<Command, Event, Code> }
export function specification(subject: TableView): {
  readonly given: (events: readonly Message[]) => TableExpectation
}
export function specification<State>(subject: View<State>): {
  readonly given: (events: readonly Message[]) => ViewExpectation<State>
}
export function specification(subject: Decider | Boundary | View | TableView): {
  readonly given: (events: readonly Message[]) => unknown
} {
  const expectation = expectationOf(subject)
  return {
    given: (events) => {
      checkMessages('given', events)
      return expectation(events)
    },
  }
}

function expectationOf(subject: Decider | Boundary | View | TableView): (events: readonly Message[]) => unknown {
  if (typeof subject === 'object' && subject !== null) {
    if ('rehearse' in subject) return (events) => tableExpectation(subject, events)
    if ('handler' in subject) return (events) => viewExpectation(subject, events)
    if ('commands' in subject) {
      return (events) => ({ when: (command: Message) => decisionExpectation(subject, events, command) })
    }
  }
  throw new ArgumentInvalidError('the subject', 'is no decider, boundary, view or view in tables')
}

/** A specification of what is no message would say nothing. @throws ArgumentInvalidError `ARGUMENT_INVALID` */
function checkMessages(place: string, messages: readonly unknown[]): asserts messages is readonly Message[] {
  checkList(place, messages)
  for (const [index, message] of messages.entries()) {
    if (typeof (message as Partial<Message> | null | undefined)?.type === 'string') continue
    throw new ArgumentInvalidError(`${place}[${index}]`, 'is no message, as its definition creates it')
  }
}

function decisionExpectation(
  subject: Decider | Boundary,
  given: readonly Message[],
  command: Message,
): DecisionExpectation<Message, string> {
  const name = `${subject.kind} ${subject.name}`
  const types = subject.commands.map(({ type }) => type)
  if (!types.includes(command?.type)) {
    throw new SpecificationFailedError(name, 'it does not handle this command', types, command?.type)
  }
  const decision = decideCommand(subject, given, command)
  anotherMoment()
  const again = decideCommand(subject, given, command)
  if (!isDeepStrictEqual(shown(decision), shown(again))) {
    const what =
      'the same command was decided differently the second time, so it depends on more than command and events'
    throw new SpecificationFailedError(name, what, shown(decision), shown(again))
  }
  return {
    decision,
    // biome-ignore lint/suspicious/noThenProperty: given, when, then are the words; awaiting it by mistake is found out
    then: (expected: unknown) => {
      refusePromise(name, expected)
      const wanted = isRejection(expected) ? expected : [expected].flat()
      if (!isRejection(wanted)) checkMessages('then', wanted)
      const [left, right] = comparable(wanted, decision)
      if (!isDeepStrictEqual(left, right)) {
        throw new SpecificationFailedError(name, `${command.type} was not decided so`, left, right)
      }
    },
  }
}

function viewExpectation(view: View, given: readonly Message[]): ViewExpectation<unknown> {
  const name = `view ${view.name}`
  const types = new Set(view.handler.events.map(({ type }) => type))
  const states = new Map<string, unknown>()
  for (const event of given) {
    if (!types.has(event.type)) continue
    const current = view.read(event)
    for (const key of view.keysOf(current)) {
      const next = view.apply(states.has(key) ? states.get(key) : view.initial, current, key)
      if (next === undefined) states.delete(key)
      else states.set(key, frozenJson(next, 'state'))
    }
  }
  const found = Object.fromEntries(states)
  return {
    states: found,
    // biome-ignore lint/suspicious/noThenProperty: given, when, then are the words; awaiting it by mistake is found out
    then: (expected: unknown) => {
      refusePromise(name, expected)
      if (typeof expected !== 'object' || expected === null || Array.isArray(expected)) {
        throw new ArgumentInvalidError('then', 'is no object with states by key')
      }
      // As state is kept: without what is `undefined`.
      const wanted = frozenJson(expected, 'then')
      if (!isDeepStrictEqual(wanted, found))
        throw new SpecificationFailedError(name, 'it holds something else', wanted, found)
    },
  }
}

function tableExpectation(view: TableView, given: readonly Message[]): TableExpectation {
  const name = `table view ${view.versionOf.view}`
  const types = new Set(view.events.map(({ type }) => type))
  const seen = new Set<string>()
  const isNew = ({ source, id }: Message): boolean => seen.size < seen.add(JSON.stringify([source, id])).size
  const events = given.filter((event) => types.has(event.type) && isNew(event))
  return {
    // biome-ignore lint/suspicious/noThenProperty: given, when, then are the words; awaiting it by mistake is found out
    then: async (query: unknown, expected: unknown) => {
      // Who awaits calls with two functions, and hears of it by the second one.
      if (typeof query === 'function') return rejectPromise(name, expected)
      const found = await view.rehearse(events, query as string)
      if (isDeepStrictEqual(found, expected)) return
      throw new SpecificationFailedError(name, 'the query answers something else', expected, found)
    },
  }
}

function rejectPromise(name: string, reject: unknown): void {
  try {
    refusePromise(name, reject)
  } catch (error) {
    ;(reject as (error: unknown) => void)(error)
  }
}

/** Whoever awaits an unfinished specification calls `then` with functions: it would pass without having said anything. */
function refusePromise(name: string, expected: unknown): void {
  if (typeof expected !== 'function') return
  throw new SpecificationFailedError(name, 'it does not say what is expected', 'then(…) with what is expected', 'await')
}

/** A decision without what differs from run to run. */
function shown(decision: readonly Message[] | Rejection): unknown {
  return isRejection(decision) ? decision : decision.map(({ type, data }) => ({ type, data }))
}

/** Both sides, as far as the expectation speaks of it. */
function comparable(
  expected: readonly Message[] | Rejection,
  actual: readonly Message[] | Rejection,
): readonly [unknown, unknown] {
  if (!isRejection(expected) || !isRejection(actual)) return [shown(expected), shown(actual)]
  const saysReason = expected.reason !== expected.code
  const saysDetails = expected.details !== null
  const of = ({ kind, code, reason, details }: Rejection): unknown => ({
    kind,
    code,
    ...(saysReason && { reason }),
    ...(saysDetails && { details }),
  })
  return [of(expected), of(actual)]
}
