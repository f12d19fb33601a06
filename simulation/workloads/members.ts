import { z } from 'zod'
import { type Assignment, type Claim, type Member, OffsetSet } from '../../src/engine/index.ts'
import { event, sleep, topic } from '../../src/index.ts'
import type { History } from '../history.ts'
import { outcomeOfFailure, PublishLog } from '../publishing.ts'
import { dataOf, type Found, type Parts, type Process, type Setting, type Workload } from '../workload.ts'

const piece = z.object({ n: z.int() })
type Piece = z.infer<typeof piece>
const Offered = event('Offered', { topic: 'offers', data: piece })
const Done = event('Done', { topic: 'done', data: piece })

const group = 'simulated-members'
const partitionCount = 3
const memberCountMax = 4
const offersMax = 8
/** Signs of life that a member gives before it leaves, at most. */
const staysMax = 40
const signIntervalMs = 300
const sessionTimeoutMs = 1500
const idleMs = 400
const thinkMs = 3 * sessionTimeoutMs
const readBytesMax = 400

const placeOf = ({ topic: name, partition }: Claim): string => `${name}/${partition}`

/**
 * Members of a consumer group of the engine itself, without the runtime: they join, leave, and some say nothing for longer than
 * their session lasts and go on as if nothing were. Each piece of work is done once, whoever thinks that it is his.
 */
export class Members implements Workload {
  readonly #setting: Setting
  readonly #log: PublishLog
  #count = 0
  /** Why the member that is there while everything drains works no more. */
  #failure: Error | undefined

  constructor(setting: Setting) {
    this.#setting = setting
    this.#log = new PublishLog(setting.history)
  }

  parts(): Parts {
    return { topics: [topic('offers', { partitions: partitionCount }), topic('done', { partitions: 1 })] }
  }

  clients(process: Process): readonly Promise<void>[] {
    const memberCount = process.life.draw.int(2, memberCountMax)
    return [this.#offer(process), ...Array.from({ length: memberCount }, () => this.#join(process, false))]
  }

  /** Somebody has to be there while everything drains. */
  drain(process: Process): Promise<void> {
    this.#failure = undefined
    return this.#join(process, true)
  }

  async isOver({ engine }: Process): Promise<boolean> {
    // No app uses the engine here, to tell that it has failed.
    if (this.#failure !== undefined) throw this.#failure
    const lag = (await engine.groups.describe(group))?.lag ?? []
    return lag.every(({ lagMessages }) => lagMessages === 0)
  }

  check(found: Found): void {
    const { history } = this.#setting
    this.#log.check(found, new Set([Offered.type]))
    const offered = dataOf<Piece>(found, Offered.type).map(({ n }) => n)
    const done = dataOf<Piece>(found, Done.type).map(({ n }) => n)
    history.check(
      new Set(done).size === done.length && offered.toSorted(byNumber).join() === done.toSorted(byNumber).join(),
      'each effect once',
      () => `offered ${offered.toSorted(byNumber).join()}, done ${done.toSorted(byNumber).join()}`,
    )
  }

  async #offer(process: Process): Promise<void> {
    const { life, engine } = process
    for (let i = life.draw.int(0, this.#setting.requestCount); i > 0; i--) {
      const messages = Array.from({ length: life.draw.int(1, offersMax) }, () => Offered({ n: this.#count++ }))
      const partition = life.draw.int(0, partitionCount - 1)
      const publish = [{ topic: 'offers', partition, messages }]
      const outcome = await this.#log.publish(messages, async () => {
        const committed = await engine.commit({ publish })
        return committed.ok ? committed.published : []
      })
      if (outcome === 'unknown') return
      await life.pause(100)
    }
  }

  /** A member that stays for a while, or, when everything is to drain, for ever. */
  async #join(process: Process, stays: boolean): Promise<void> {
    const { life, engine } = process
    const { history } = this.#setting
    const owned = new Map<string, Ownership>()
    const drop = (claims: readonly Claim[]): Promise<unknown> =>
      Promise.all(
        claims.flatMap((claim) => {
          const ownership = owned.get(placeOf(claim))
          if (ownership?.claim.epoch !== claim.epoch) return []
          owned.delete(placeOf(claim))
          return [ownership.end()]
        }),
      )
    const said: { member: Member | undefined } = { member: undefined }
    const fail = (error: unknown): void => {
      if (outcomeOfFailure(error, history) === 'unknown' && stays && error instanceof Error) this.#failure = error
    }
    const work = new Work(process, { isFaithful: stays, history, onFailure: fail })
    try {
      said.member = await engine.groups.join({
        group,
        topics: ['offers'],
        sessionTimeoutMs,
        onAssigned: (assignments) => {
          for (const assignment of assignments) {
            owned.set(
              placeOf(assignment.claim),
              work.begin(assignment, () => said.member?.heartbeat()),
            )
          }
        },
        onRevoked: async (claims) => void (await drop(claims)),
        onLost: (claims) => {
          history.reach('a member lost its claims')
          drop(claims).catch(() => undefined)
        },
      })
      if (stays) return
      for (let i = life.draw.int(1, staysMax); i > 0; i--) {
        await sleep(signIntervalMs, life.clock)
        if (!work.isSilent) said.member.heartbeat()
      }
      await said.member.leave()
      history.reach('a member left')
    } catch (error) {
      fail(error)
    }
  }
}

/** One partition in the hands of one member. */
interface Ownership {
  readonly claim: Claim
  /** Resolves when nothing is under way any more. */
  end(): Promise<void>
}

/** What a member does with the partitions that it was given. */
class Work {
  readonly #process: Process
  readonly #history: History
  readonly #isFaithful: boolean
  readonly #onFailure: (error: unknown) => void
  #thinkingCount = 0

  constructor(
    process: Process,
    options: { readonly isFaithful: boolean; readonly history: History; readonly onFailure: (error: unknown) => void },
  ) {
    this.#process = process
    this.#history = options.history
    this.#isFaithful = options.isFaithful
    this.#onFailure = options.onFailure
  }

  /** One of its partitions keeps it so busy that it gives no sign of life. */
  get isSilent(): boolean {
    return this.#thinkingCount > 0
  }

  begin({ claim, progress }: Assignment, heartbeat: () => void): Ownership {
    const over = { isOver: false }
    const running = this.#run(claim, new OffsetSet(progress), over, heartbeat).catch(this.#onFailure)
    return {
      claim,
      end: async () => {
        over.isOver = true
        await running
      },
    }
  }

  async #run(claim: Claim, done: OffsetSet, over: { isOver: boolean }, heartbeat: () => void): Promise<void> {
    const { life, engine } = this.#process
    const { topic: name, partition } = claim
    let offset = done.next
    while (!over.isOver) {
      const request = { topic: name, partition, offset, bytesMax: readBytesMax, waitMs: idleMs }
      const { records, nextOffset } = await engine.topics.read(request)
      if (!this.isSilent) heartbeat()
      for (const record of records) {
        if (record.kind !== 'message' || done.has(record.offset) || over.isOver) continue
        // It thinks for longer than its session lasts, and is not told of what happened meanwhile.
        if (!this.#isFaithful && life.draw.chance(0.15)) await this.#think()
        if (!(await this.#finish(claim, record.offset, record.message.data as Piece))) return
        done.add(record.offset, record.offset + 1)
      }
      offset = over.isOver ? offset : nextOffset
    }
  }

  async #think(): Promise<void> {
    this.#thinkingCount++
    await sleep(thinkMs, this.#process.life.clock)
    this.#thinkingCount--
  }

  /** `false`: the claim is over. */
  async #finish(claim: Claim, offset: number, { n }: Piece): Promise<boolean> {
    const outcome = await this.#process.engine.commit({
      publish: [{ topic: 'done', messages: [Done({ n })] }],
      progress: [{ claim, done: [{ from: offset, to: offset + 1 }] }],
    })
    if (!outcome.ok) this.#history.reach(`a conflict: ${outcome.conflict.kind}`)
    return outcome.ok
  }
}

function byNumber(a: number, b: number): number {
  return a - b
}
