import type { Assignment, Claim, ConsumerGroups, JoinOptions, Member } from '../engine/index.ts'
import { type Clock, sleep } from '../kernel/index.ts'

/** How long to wait before a claim is tried to be taken over again, after the store failed. */
const retryMinMs = 50
const retryMaxMs = 5000

/** What a member needs to know of the store. */
export interface Takeover {
  /**
   * Makes an assignment's progress ours; `undefined`: another owner is there, and the claim about to be lost.
   *
   * @param isOurs Asks the engine that gives claims.
   */
  readonly take: (assignment: Assignment, isOurs: () => Promise<boolean>) => Promise<Assignment | undefined>
  readonly drop: (claim: Claim) => void
}

interface Coming {
  readonly claim: Claim
  readonly stop: AbortController
  settled: Promise<void>
}

/**
 * Stands between the engine that gives claims and the one who joined: a claim is passed on once its progress has been taken
 * over in the store. What is revoked or lost before that is never heard of.
 */
export class MemberBridge {
  readonly #options: JoinOptions
  readonly #clock: Clock
  readonly #takeover: Takeover
  readonly #passed = new Map<string, Claim>()
  /** Claims on their way. */
  readonly #coming = new Map<string, Coming>()
  readonly #joined = Promise.withResolvers<{ readonly member: Member; readonly groups: ConsumerGroups }>()

  constructor(options: JoinOptions, clock: Clock, takeover: Takeover) {
    this.#options = options
    this.#clock = clock
    this.#takeover = takeover
  }

  async join(groups: ConsumerGroups): Promise<Member> {
    const member = await groups.join({
      ...this.#options,
      onAssigned: (assignments) => this.#onAssigned(assignments),
      onRevoked: (claims) => this.#onRevoked(claims),
      onLost: (claims) => this.#onLost(claims),
    })
    this.#joined.resolve({ member, groups })
    const passed = this.#passed
    return {
      get id() {
        return member.id
      },
      get claims(): readonly Claim[] {
        return [...passed.values()]
      },
      heartbeat: () => member.heartbeat(),
      leave: async (options) => {
        for (const { stop } of this.#coming.values()) stop.abort()
        await member.leave(options)
        for (const claim of passed.values()) this.#takeover.drop(claim)
        passed.clear()
      },
    }
  }

  #onAssigned(assignments: readonly Assignment[]): void {
    for (const assignment of assignments) {
      const place = placeOf(assignment.claim)
      const stop = new AbortController()
      const coming = { claim: assignment.claim, stop, settled: this.#pass(assignment, stop.signal) }
      this.#coming.set(place, coming)
      coming.settled = coming.settled.finally(() => {
        if (this.#coming.get(place) === coming) this.#coming.delete(place)
      })
    }
  }

  async #pass(assignment: Assignment, stop: AbortSignal): Promise<void> {
    const taken = await this.#takeUntilItWorks(assignment, stop)
    if (taken === undefined || stop.aborted) return this.#takeover.drop(assignment.claim)
    this.#passed.set(placeOf(taken.claim), taken.claim)
    this.#options.onAssigned([taken])
  }

  async #takeUntilItWorks(assignment: Assignment, stop: AbortSignal): Promise<Assignment | undefined> {
    for (let delayMs = retryMinMs; !stop.aborted; delayMs = Math.min(retryMaxMs, delayMs * 2)) {
      const { claim } = assignment
      // One that was lost meanwhile may be ours again, by another claim: that one has its own takeover.
      const isOurs = async (): Promise<boolean> => (await this.#isOurs(claim)) && !stop.aborted
      const taken = await this.#takeover.take(assignment, isOurs).catch(() => undefined)
      if (taken !== undefined) return stop.aborted ? undefined : taken
      // The store is away, and whoever owns the claim meanwhile can do nothing either; or it is another's, of which will be heard.
      await sleep(delayMs, this.#clock, stop).catch(() => undefined)
    }
    return undefined
  }

  /** Whether the engine that gives claims has this one down as ours. */
  async #isOurs({ group, topic, partition }: Claim): Promise<boolean> {
    const { member, groups } = await this.#joined.promise
    const own = (await groups.describe(group))?.members.find(({ id }) => id === member.id)
    return own?.claims.some((claim) => claim.topic === topic && claim.partition === partition) ?? false
  }

  async #onRevoked(claims: readonly Claim[]): Promise<void> {
    const coming = claims.flatMap((claim) => this.#comingOf(claim) ?? [])
    for (const { stop } of coming) stop.abort()
    await Promise.all(coming.map(({ settled }) => settled))
    const known = claims.filter((claim) => this.#isPassed(claim))
    if (known.length > 0) await this.#options.onRevoked(known)
    this.#forget(claims)
  }

  #onLost(claims: readonly Claim[]): void {
    for (const claim of claims) this.#comingOf(claim)?.stop.abort()
    const known = claims.filter((claim) => this.#isPassed(claim))
    this.#forget(claims)
    if (known.length > 0) this.#options.onLost(known)
  }

  #forget(claims: readonly Claim[]): void {
    for (const claim of claims) {
      this.#takeover.drop(claim)
      if (this.#isPassed(claim)) this.#passed.delete(placeOf(claim))
    }
  }

  /** Of this very claim: the place may be ours again by a later one. */
  #comingOf(claim: Claim): Coming | undefined {
    const coming = this.#coming.get(placeOf(claim))
    return coming?.claim.epoch === claim.epoch ? coming : undefined
  }

  #isPassed(claim: Claim): boolean {
    return this.#passed.get(placeOf(claim))?.epoch === claim.epoch
  }
}

function placeOf({ topic, partition }: Claim): string {
  return `${topic}/${partition}`
}
