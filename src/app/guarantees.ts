import type { Capabilities } from '../engine/index.ts'

/** How often the effects of one message become real. */
export type Delivery = 'exactly-once' | 'at-least-once'

/** Why an app will not start on given ground: what the error of its start says. */
export interface StartRefusal {
  /** Code of the error. */
  readonly code: 'ENGINE_LACKS' | 'GUARANTEE_MISSING' | 'STORE_MISSING'
  readonly problem: string
  /** What to do about it. */
  readonly remedy: string
}

/** What a handler or view may rely on, on given ground, and why. */
export interface HandlerGuarantees {
  /** `<service>.<handler>`, `view <name>` or `saga <name>`. */
  readonly name: string
  /** Without topics: it takes its events from the event store of the engine, as they are appended. */
  readonly source: { readonly events: readonly string[]; readonly topics: readonly string[]; readonly engine: string }
  /** What one commit of which engine, or one transaction of which database, makes real together. */
  readonly commits: readonly { readonly engine: string; readonly holds: readonly string[] }[]
  /** State, timers and progress. */
  readonly delivery: Delivery
  readonly deliveryBecause: string
  /** What it publishes. */
  readonly publications: Delivery
  readonly publicationsBecause: string
  readonly ordering: string
  readonly retry: string
  /** For how long a message id is remembered, in milliseconds; `null`: it is not. */
  readonly dedupeWindowMs: number | null
  readonly deduplication: string
  /** What it asks for. */
  readonly requires: 'exactly-once' | null
  /**
   * Code of the error by which the app will not start, if this handler is a reason. Unless that is `'GUARANTEE_MISSING'`, the
   * ground does not keep what the handler lives on, and nothing else that is said of it here comes to pass.
   */
  readonly refusedBy: StartRefusal['code'] | null
  /** Where the ground gives less than one would expect. */
  readonly warnings: readonly string[]
}

/** What an app may rely on. */
export interface AppGuarantees {
  readonly app: string
  /** Name of the engine, or of those that were composed. */
  readonly engine: string
  /** Why it will not start there, all reasons; empty: the ground has what it needs. */
  readonly refusals: readonly StartRefusal[]
  readonly durability: Capabilities['durability']
  /** What holds for calls to the outside world, on whatever ground. */
  readonly outside: string
  readonly handlers: readonly HandlerGuarantees[]
}

/** Ground as far as guarantees go: an engine, open or not. */
export interface Ground {
  readonly name: string
  readonly capabilities: Capabilities
}

/** Words as a list in a sentence: `a, b and c`. */
export function listed(words: readonly string[]): string {
  return words.length <= 1 ? words.join('') : `${words.slice(0, -1).join(', ')} and ${words.at(-1)}`
}
