import type { Duration } from '../kernel/index.ts'
import type { AnyCommandDefinition, AnyEventDefinition, Message, MessageOf, ReadonlyData } from '../message/index.ts'
import { checkDecider } from './decider-problems.ts'
import type { Rejection } from './rejection.ts'
import { type SnapshotOptions, type SnapshotRule, snapshotRule } from './snapshot-rule.ts'

/** What a decision is: events that happened, in their order, or a rejection. Nothing: the command changes nothing. */
export type Decision<Event extends Message = Message, Code extends string = string> =
  | Event
  | readonly Event[]
  | Rejection<Code>
  | undefined

/** Options that deciders and boundaries have in common. */
export interface CommandHandlingOptions {
  /**
   * Whether events are also published to the topics of their definitions, in the same commit, so that handlers and views
   * get them. Default `true`.
   */
  readonly publish?: boolean
  /**
   * For how long the outcome of a command is remembered by its id, at least: the same command again has the same outcome and
   * no effect. 1 s to 30 days. Default `'10m'`.
   */
  readonly remember?: Duration
}

/** What a decider is made of. */
export interface DeciderOptions<
  Commands extends readonly AnyCommandDefinition[],
  Events extends readonly AnyEventDefinition[],
  State,
  Code extends string,
> extends CommandHandlingOptions {
  /** The commands that it handles: it is their one handler. */
  readonly commands: Commands
  /** All events that stand in its streams. */
  readonly events: Events
  /** The stream that a command is about, such as `account-7`. Commands of one stream are decided one after the other. */
  readonly stream: (command: MessageOf<Commands[number]>) => string
  /** State of a stream without events. JSON: properties that are `undefined` are left out, here and in what `evolve` answers. */
  readonly initialState: State
  /** For each command, by its type: what happens, given the state. Pure. */
  readonly decide: {
    readonly [Type in Commands[number]['type']]: (
      command: Extract<MessageOf<Commands[number]>, { readonly type: Type }>,
      state: ReadonlyData<State>,
    ) => Decision<MessageOf<Events[number]>, Code>
  }
  /** For each event, by its type: the state after it. Pure; the state is frozen and JSON. */
  readonly evolve: {
    readonly [Type in Events[number]['type']]: (
      state: ReadonlyData<State>,
      event: Extract<MessageOf<Events[number]>, { readonly type: Type }>,
    ) => ReadonlyData<State>
  }
  /** Version of `evolve`, a whole number from 1. Raise it when its functions change: snapshots of it count no more. Default 1. */
  readonly version?: number
  /**
   * The event that carries a whole state forward, by which the books of a stream are closed: what came before it can go.
   * Evolving `initialState` with it gives the state that it was made of.
   */
  readonly carriesForward?: NoInfer<Events>[number]
  /** Default: no snapshots; a state that is not cached is made of all events of its stream. */
  readonly snapshot?: SnapshotOptions
}

/** Decides commands over one stream each. Made by {@link decider}. */
export interface Decider<
  Command extends Message = Message,
  Event extends Message = Message,
  State = unknown,
  Code extends string = string,
> {
  readonly kind: 'decider'
  readonly name: string
  readonly commands: readonly AnyCommandDefinition[]
  readonly events: readonly AnyEventDefinition[]
  readonly version: number
  readonly initialState: State
  readonly publish: boolean
  readonly rememberMs: number
  /** Type of the event that carries a state forward. */
  readonly carriesForward: string | undefined
  readonly snapshot: SnapshotRule | undefined
  stream(command: Command): string
  /** What happens when this command meets this state. */
  decide(command: Command, state: State): Decision<Event, Code>
  /** The state after an event. */
  evolve(state: State, event: Event): State
}

/** State of a decider by the type: `DeciderState<typeof account>`. */
export type DeciderState<D> = D extends Decider<infer _Command, infer _Event, infer State, string> ? State : never

/**
 * Declares a decider: which events a command leads to, given the state of its stream, and which state follows from an
 * event (Jérémie Chassaing, “Functional event sourcing decider”).
 *
 * As a part of a service it is the one handler of its commands. The state is what its events make of it; the events of a
 * decision are appended if the stream is still as it was read, else the command is decided anew.
 *
 * @param name Letters, digits, `_` and `-`; unique in its service and stable over deployments.
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all options that are wrong.
 *
 * @example
 * ```ts
 * const account = decider('account', {
 *   commands: [Deposit, Withdraw],
 *   events: [Deposited, Withdrawn],
 *   stream: (command) => `account-${command.data.accountId}`,
 *   initialState: { balance: 0 },
 *   decide: {
 *     Deposit: ({ data }) => Deposited(data),
 *     Withdraw: ({ data }, state) => (data.amount > state.balance ? reject('OVERDRAWN') : Withdrawn(data)),
 *   },
 *   evolve: {
 *     Deposited: (state, { data }) => ({ balance: state.balance + data.amount }),
 *     Withdrawn: (state, { data }) => ({ balance: state.balance - data.amount }),
 *   },
 * })
 * const bank = app('bank', { services: [service('accounts', [account])] })
 * ```
 */
export function decider<
  const Commands extends readonly [AnyCommandDefinition, ...AnyCommandDefinition[]],
  const Events extends readonly [AnyEventDefinition, ...AnyEventDefinition[]],
  State,
  Code extends string = never,
>(
  name: string,
  options: DeciderOptions<Commands, Events, State, Code>,
): Decider<MessageOf<Commands[number]>, MessageOf<Events[number]>, State, Code> {
  const { rememberMs, initialState } = checkDecider(name, options)
  const decide = options.decide as unknown as Readonly<Record<string, (command: Message, state: unknown) => unknown>>
  const evolve = options.evolve as unknown as Readonly<Record<string, (state: unknown, event: Message) => unknown>>
  const declared = {
    kind: 'decider',
    name,
    commands: Object.freeze([...options.commands]),
    events: Object.freeze([...options.events]),
    version: options.version ?? 1,
    initialState,
    publish: options.publish ?? true,
    rememberMs,
    carriesForward: options.carriesForward?.type,
    snapshot: snapshotRule(options.snapshot),
    stream: options.stream,
    decide: (command: Message, state: unknown) => decide[command.type]?.(command, state),
    evolve: (state: unknown, event: Message) => evolve[event.type]?.(state, event),
  }
  return Object.freeze(declared) as unknown as ReturnType<typeof decider<Commands, Events, State, Code>>
}
