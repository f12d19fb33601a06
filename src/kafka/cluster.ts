import { type Clock, ClosedError, type Fault, type Random, sleep } from '../kernel/index.ts'
import { EngineWaits } from '../telemetry/index.ts'
import { BrokerLink, type LinkParts } from './broker-link.ts'
import { type KafkaLibrary, type Protocol, protocolOf, type ResponseOf } from './client-library.ts'
import type { BrokerAddress } from './connection-faults.ts'
import { errorCode, isPassing, nameOfCode, refusalOf } from './error-codes.ts'
import { KafkaLoginRefusedError, KafkaTlsError, KafkaUnreachableError } from './errors.ts'
import { addressOf, type ResolvedKafkaOptions } from './options.ts'

/** Waits between attempts: doubled from the first to the last, each shortened at random by up to a half. */
const backoffMs = { first: 2, last: 1000 } as const

/** How many brokers are asked whether a topic is there before it is taken for deleted. */
const opinionsMax = 3

/** What the cluster says of a topic. */
export type TopicMetadata = ResponseOf<'metadata'>['topics'][number]

/** What a coordinator looks after: the members and offsets of a group, or a transactional id. */
export type CoordinatorKind = 'group' | 'transaction'

/** How long a call may go on trying. */
export interface Patience {
  /** `null`: as long as it takes. */
  readonly limitMs: number | null
  /** What its end means. Default `passing`. */
  readonly fault?: Fault
  readonly signal?: AbortSignal | undefined
}

/** The brokers of a cluster: who they are, connections to them, and trying again when one is gone. */
export class Cluster {
  readonly library: KafkaLibrary
  readonly protocol: Protocol
  readonly options: ResolvedKafkaOptions
  readonly clock: Clock
  readonly random: Random
  readonly #end = new AbortController()
  readonly #waits: EngineWaits
  readonly #links = new Map<string, Promise<BrokerLink>>()
  readonly #linkParts: LinkParts
  readonly #addresses = new Map<number, BrokerAddress>()
  readonly #coordinators = new Map<string, number>()
  #controllerId = -1
  /** Whether a connection came about: what is configured is right, then. */
  #wasLetIn = false
  #bootstrapTurn = 0

  constructor(library: KafkaLibrary, options: ResolvedKafkaOptions, clock: Clock, random: Random) {
    this.library = library
    this.protocol = protocolOf(library)
    this.options = options
    this.clock = clock
    this.random = random
    this.#waits = new EngineWaits('kafka', clock)
    const onUnanswered = (address: BrokerAddress, sentMs: number): void => {
      // Whoever asked on another one is told there.
      this.#distrust(address, sentMs).catch(() => undefined)
    }
    this.#linkParts = { library, protocol: this.protocol, options, clock, onUnanswered }
  }

  /** Aborts when the engine closes. */
  get ended(): AbortSignal {
    return this.#end.signal
  }

  get brokerIds(): readonly number[] {
    return [...this.#addresses.keys()]
  }

  /** Patience of opening, of groups and of administration: at least two requests, so that one dead connection ends nothing. */
  get usual(): Patience {
    return { limitMs: this.options.callTimeoutMs }
  }

  /** Patience of those who go: whom they do not tell, their session tells. */
  get parting(): Patience {
    return { limitMs: this.options.requestTimeoutMs }
  }

  /**
   * Patience of commits and reads, and of what they need to know first: programs that run wait for brokers to come back. When it ends,
   * so do they.
   */
  get lasting(): Patience {
    return { limitMs: this.options.reconnectTimeoutMs, fault: 'lasting' }
  }

  /** Patience of a look in the middle of something that is tried for so long: no more than administration has. */
  within({ limitMs }: Patience): Patience {
    const { callTimeoutMs } = this.options
    return { limitMs: limitMs === null ? callTimeoutMs : Math.min(limitMs, callTimeoutMs) }
  }

  /**
   * Tries until it is done. An attempt that meets an obstacle that may pass throws KafkaUnreachableError; everything else that
   * it throws goes to the caller at once.
   */
  async persist<T>(attempt: () => Promise<T>, { limitMs, signal, fault }: Patience = this.usual): Promise<T> {
    const startMs = this.clock.monotonicMs()
    let pauseMs: number = backoffMs.first
    const wake = signal === undefined ? this.ended : AbortSignal.any([signal, this.ended])
    for (;;) {
      wake.throwIfAborted()
      try {
        return await attempt()
      } catch (error) {
        if (!(error instanceof KafkaUnreachableError)) throw error
        const waitedMs = this.clock.monotonicMs() - startMs
        if (limitMs !== null && waitedMs >= limitMs) throw endOf(error, fault)
        this.#waits.note(error, waitedMs)
      }
      await sleep(pauseMs * (1 - this.random.nextFloat() / 2), this.clock, wake)
      pauseMs = Math.min(pauseMs * 2, backoffMs.last)
    }
  }

  /** What {@link persist} takes as a reason to try again. */
  obstacle(reason: string, cause?: Error): KafkaUnreachableError {
    const brokers = [...this.#addresses.values()].map(({ host, port }) => `${host}:${port}`)
    return new KafkaUnreachableError(brokers.length > 0 ? brokers : this.options.brokers, reason, cause && { cause })
  }

  /** Judges a code that stands for a whole response. */
  accept(request: string, code: number, name: string, message?: string | null): void {
    if (code === errorCode.none) return
    if (isPassing(code)) throw this.obstacle(`${request} was answered ${nameOfCode(code)}`)
    throw refusalOf(request, code, name, message)
  }

  /** Asks for topics (`null`: all) and learns of brokers on the way. */
  async metadata(topics: readonly string[] | null): Promise<ResponseOf<'metadata'>> {
    const link = await this.any()
    const answer = await link.call(
      'Metadata',
      this.protocol.metadata,
      topics === null ? null : [...topics],
      false,
      false,
    )
    for (const { nodeId, host, port } of answer.brokers) this.#learn(nodeId, { host, port })
    // Nobody waits for a broker that was taken away.
    const there = new Set(answer.brokers.map(({ nodeId }) => nodeId))
    if (there.size > 0) for (const nodeId of this.brokerIds) if (!there.has(nodeId)) this.#addresses.delete(nodeId)
    this.#controllerId = answer.controllerId
    return answer
  }

  /**
   * What other brokers say of topics that one of them does not know: who has just started may be behind. Empty where there is one
   * broker only.
   */
  async secondOpinions(topics: readonly string[]): Promise<readonly TopicMetadata[]> {
    const nodeIds = this.brokerIds.length > 1 ? this.brokerIds.slice(-opinionsMax) : []
    const answers = await Promise.allSettled(
      nodeIds.map(async (nodeId) => {
        const link = await this.link(nodeId)
        return link.call('Metadata', this.protocol.metadata, [...topics], false, false)
      }),
    )
    return answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value.topics : []))
  }

  /** A connection to whichever broker can be had. */
  async any(): Promise<BrokerLink> {
    const known = this.brokerIds
    for (const nodeId of known) {
      try {
        return await this.link(nodeId)
      } catch (error) {
        if (!(error instanceof KafkaUnreachableError)) throw error
      }
    }
    const { brokers } = this.options
    let last: unknown
    for (let turn = 0; turn < brokers.length; turn++) {
      const broker = brokers[(this.#bootstrapTurn + turn) % brokers.length] as string
      try {
        return await this.#open(`bootstrap/${broker}`, addressOf(broker) as BrokerAddress)
      } catch (error) {
        if (!(error instanceof KafkaUnreachableError)) throw error
        last = error
      }
    }
    this.#bootstrapTurn++
    throw new KafkaUnreachableError(
      brokers,
      last instanceof KafkaUnreachableError ? last.details.reason : 'none answered',
    )
  }

  /**
   * A connection to one broker; those for different purposes do not hold each other up.
   *
   * @param answerMs How long the broker may take over requests of this purpose beside what requests take. Default 0.
   */
  async link(nodeId: number, purpose = 'usual', answerMs = 0): Promise<BrokerLink> {
    const address = this.#addresses.get(nodeId)
    if (nodeId < 0) throw this.obstacle('nobody leads the partition')
    if (address === undefined) throw this.obstacle(`broker ${nodeId} is not known`)
    return this.#open(`${nodeId}/${purpose}`, address, answerMs)
  }

  async controller(): Promise<BrokerLink> {
    if (!this.#addresses.has(this.#controllerId)) await this.metadata([])
    const nodeId = this.#controllerId
    if (nodeId < 0) throw this.obstacle('the cluster has no controller')
    return this.link(nodeId).catch((error: unknown) => {
      // Another one may have taken its place.
      if (this.#controllerId === nodeId) this.#controllerId = -1
      throw error
    })
  }

  async coordinator(kind: CoordinatorKind, key: string, purpose: string, answerMs = 0): Promise<BrokerLink> {
    const place = `${kind}/${key}`
    let nodeId = this.#coordinators.get(place)
    if (nodeId === undefined) {
      const link = await this.any()
      const keyType = kind === 'group' ? 0 : 1
      const { coordinators } = await link.call('FindCoordinator', this.protocol.findCoordinator, keyType, [key])
      const found = coordinators[0]
      if (found === undefined) throw this.obstacle(`nobody told the coordinator of ${kind} "${key}"`)
      this.accept('FindCoordinator', found.errorCode, key, found.errorMessage)
      nodeId = found.nodeId
      this.#learn(nodeId, found)
      this.#coordinators.set(place, nodeId)
    }
    return this.link(nodeId, purpose, answerMs)
  }

  /** Forgets who coordinates, after it said that it does not, or did not answer. */
  coordinatorMoved(kind: CoordinatorKind, key: string): void {
    this.#coordinators.delete(`${kind}/${key}`)
  }

  /**
   * Asks a coordinator until it answers something that does not pass by itself. The coordinator moves with the leader of a
   * partition; `codeOf` tells where its answer says so.
   *
   * @param answerMs See {@link link}. What is asked for is waited for as much longer.
   */
  async askCoordinator<Response>(
    kind: CoordinatorKind,
    key: string,
    purpose: string,
    ask: (link: BrokerLink) => Promise<Response>,
    codeOf: (response: Response) => number,
    patience: Patience = this.usual,
    answerMs: number = 0,
  ): Promise<Response> {
    const limitMs = patience.limitMs === null ? null : patience.limitMs + answerMs
    return this.persist(
      async () => {
        try {
          const response = await ask(await this.coordinator(kind, key, purpose, answerMs))
          const code = codeOf(response)
          // A coordinator that is starting or ending may answer its own failure; what it was asked for can be asked again.
          if (isPassing(code) || code === errorCode.unknownServerError)
            throw this.obstacle(`the coordinator of ${kind} "${key}" answered ${nameOfCode(code)}`)
          return response
        } catch (error) {
          // Most of what passes has to do with a coordinator that moves; asking anew who it is costs little.
          if (error instanceof KafkaUnreachableError && !error.message.includes('CONCURRENT_')) {
            this.coordinatorMoved(kind, key)
          }
          throw error
        }
      },
      { ...patience, limitMs },
    )
  }

  /** Closes one connection, if it was made. */
  async closeLink(nodeIdAndPurpose: (key: string) => boolean): Promise<void> {
    for (const [key, opening] of this.#links) {
      if (!nodeIdAndPurpose(key)) continue
      this.#links.delete(key)
      const link = await opening.catch(() => undefined)
      await link?.close()
    }
  }

  /** Ends whoever waits and closes all connections. */
  async close(): Promise<void> {
    this.#end.abort(new ClosedError('The engine'))
    await this.closeLink(() => true)
  }

  async #open(key: string, address: BrokerAddress, answerMs = 0): Promise<BrokerLink> {
    const open = this.#links.get(key)
    if (open !== undefined) {
      const link = await open
      if (link.isOpen) return link
      if (this.#links.get(key) !== open) return this.#open(key, address, answerMs)
      this.#links.delete(key)
      // It may be about to log in anew, and would then be there beside the next one.
      link.close().catch(() => undefined)
    }
    this.ended.throwIfAborted()
    const opening = BrokerLink.open(this.#linkParts, address, answerMs)
    this.#links.set(key, opening)
    try {
      const link = await opening
      this.#wasLetIn = true
      // Closed while it came about: nobody would close it any more.
      if (this.ended.aborted) await link.close()
      this.ended.throwIfAborted()
      return link
    } catch (error) {
      if (this.#links.get(key) === opening) this.#links.delete(key)
      // Whom the cluster has let in before is kept out for a moment: by a broker that goes, what issues tokens, a proxy.
      const isLogin = error instanceof KafkaLoginRefusedError || error instanceof KafkaTlsError
      throw isLogin && this.#wasLetIn ? this.obstacle(error.problem, error) : error
    }
  }

  /**
   * Closes the connections to a broker on which nothing came since a time: what has taken one of them away without a word has
   * taken them all, and each would be found out by a request that waits in vain. Those on which somebody waits for long are left.
   */
  async #distrust({ host, port }: BrokerAddress, sinceMs: number): Promise<void> {
    await Promise.all(
      [...this.#links].map(async ([key, opening]) => {
        const link = await opening.catch(() => undefined)
        if (link === undefined || link.mayWait || !link.isSilentSince(sinceMs)) return
        if (link.address.host !== host || link.address.port !== port) return
        if (this.#links.get(key) === opening) this.#links.delete(key)
        await link.close()
      }),
    )
  }

  #learn(nodeId: number, { host, port }: BrokerAddress): void {
    const known = this.#addresses.get(nodeId)
    if (known?.host !== host || known.port !== port) this.#addresses.set(nodeId, { host, port })
  }
}

/** What is told of an obstacle when patience ends. */
function endOf(obstacle: KafkaUnreachableError, fault: Fault = 'passing'): KafkaUnreachableError {
  const { brokers, reason } = obstacle.details
  return obstacle.fault === fault ? obstacle : new KafkaUnreachableError(brokers, reason, { fault, cause: obstacle })
}
