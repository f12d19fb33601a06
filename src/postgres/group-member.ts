import type { Claim, JoinOptions, Member } from '../engine/index.ts'
import type { Clock } from '../kernel/index.ts'

const sessionTimeoutMsDefault = 45_000

/** The part of a session that is over when the server is told that the member still lives. */
const beatsPerSession = 3

/** A member that lives in this process. */
export class GroupMember implements Member {
  readonly id: string
  readonly options: JoinOptions
  readonly sessionTimeoutMs: number
  /** What it was told to own, by partition id. */
  readonly owned: Map<number, Claim> = new Map()
  /** Ids of partitions that it was asked to give back. */
  readonly revoking: Set<number> = new Set()
  /** Answers to that which are still due. */
  readonly answers: Set<Promise<void>> = new Set()
  /** Its leaving, once it began. */
  leaving: Promise<void> | undefined
  /** When it was put out; undefined: it is in. */
  #outMs: number | undefined
  readonly #clock: Clock
  readonly #leave: (member: GroupMember) => Promise<void>
  #seenMs: number
  #toldMs: number

  constructor(id: string, options: JoinOptions, clock: Clock, leave: (member: GroupMember) => Promise<void>) {
    this.id = id
    this.options = options
    this.sessionTimeoutMs = sessionTimeoutOf(options)
    this.#clock = clock
    this.#leave = leave
    this.#seenMs = clock.monotonicMs()
    this.#toldMs = this.#seenMs
  }

  get claims(): readonly Claim[] {
    return [...this.owned.values()]
  }

  heartbeat(): void {
    this.#seenMs = this.#clock.monotonicMs()
  }

  leave(): Promise<void> {
    this.leaving ??= this.#leave(this)
    return this.leaving
  }

  /** Whether the group goes on without it. */
  get isOut(): boolean {
    return this.#outMs !== undefined
  }

  /** It was put out, and has said since then that it lives: a process that slept comes back as soon as it is awake. */
  get isBack(): boolean {
    return this.#outMs !== undefined && this.#seenMs > this.#outMs && this.leaving === undefined
  }

  putOut(): void {
    this.#outMs ??= this.#clock.monotonicMs()
  }

  letIn(): void {
    this.#outMs = undefined
  }

  /** How much of its session is left; not above 0: it has not said that it lives for too long. */
  get remainingMs(): number {
    return this.#seenMs + this.sessionTimeoutMs - this.#clock.monotonicMs()
  }

  /** The server is to be told that the session goes on. Whoever asks tells it. */
  takeBeat(): boolean {
    const isNews = this.#seenMs > this.#toldMs
    if (!isNews || this.#clock.monotonicMs() - this.#toldMs < this.sessionTimeoutMs / beatsPerSession / 2) return false
    this.#toldMs = this.#clock.monotonicMs()
    return true
  }
}

/** The session time-out that holds for a member, in milliseconds. */
export function sessionTimeoutOf(options: JoinOptions): number {
  return options.sessionTimeoutMs ?? sessionTimeoutMsDefault
}
