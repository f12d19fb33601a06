import type { Assignment, Engine, Member } from '../src/engine/index.ts'
import type { Message } from '../src/message/index.ts'

/** What a loop works on. */
export interface LoopOptions {
  readonly group: string
  readonly from: string
  readonly to: string
  /** Messages of one commit, at most. */
  readonly batch: number
  /** What is published for a message. */
  readonly handle: (message: Message) => Message
}

/** A member of a group that handles batches, each in one commit with its progress: what an engine can do without the runtime. */
export class GroupLoop {
  readonly #engine: Engine
  readonly #options: LoopOptions
  readonly #assignments = new Map<number, Assignment>()
  readonly #end = new AbortController()
  #member: Member | undefined
  /** Called when something moved. */
  #moved: () => void = () => undefined
  /** Messages handled here. */
  handledCount = 0

  private constructor(engine: Engine, options: LoopOptions) {
    this.#engine = engine
    this.#options = options
  }

  /** Joins; nothing is read before {@link handle}. */
  static async join(engine: Engine, options: LoopOptions): Promise<GroupLoop> {
    const loop = new GroupLoop(engine, options)
    const forget = (claims: readonly { readonly partition: number }[]): void => {
      for (const { partition } of claims) loop.#assignments.delete(partition)
      loop.#moved()
    }
    loop.#member = await engine.groups.join({
      group: options.group,
      topics: [options.from],
      onAssigned: (assignments) => {
        for (const one of assignments) loop.#assignments.set(one.claim.partition, one)
        loop.#moved()
      },
      onRevoked: async (claims) => forget(claims),
      onLost: forget,
    })
    return loop
  }

  /** Resolves when the member has this many partitions. */
  async holds(partitionCount: number): Promise<void> {
    while (this.#assignments.size !== partitionCount) {
      await new Promise<void>((resolve) => {
        this.#moved = resolve
      })
    }
  }

  /** Handles what there is on its partitions until it has handled so many messages. */
  async handle(count: number): Promise<void> {
    const { signal } = this.#end
    const loops = [...this.#assignments.values()].map((one) => this.#work(one, count, signal))
    await Promise.all(loops).catch((error: unknown) => {
      if (!signal.aborted) throw error
    })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#end.abort()
    await this.#member?.leave()
  }

  /** The next page is read while the one before is committed. */
  async #work({ claim, progress }: Assignment, count: number, signal: AbortSignal): Promise<void> {
    const { from: topic, to, batch, handle } = this.#options
    const { partition } = claim
    const read = (offset: number) => this.#engine.topics.read({ topic, partition, offset, waitMs: 500, signal })
    let next = progress.next
    let reading = read(next)
    while (this.handledCount < count) {
      const page = await reading
      reading = read(page.nextOffset)
      reading.catch(() => undefined)
      for (let at = 0; at < page.records.length; at += batch) {
        const records = page.records.slice(at, at + batch)
        const messages = records.flatMap((record) => (record.kind === 'message' ? [handle(record.message)] : []))
        const end = (records.at(-1) as { readonly offset: number }).offset + 1
        const outcome = await this.#engine.commit({
          publish: [{ topic: to, messages }],
          progress: [{ claim, done: [{ from: next, to: end }] }],
        })
        if (!outcome.ok) throw new Error(`the claim on partition ${partition} is over`)
        next = end
        this.handledCount += records.length
      }
    }
    this.#end.abort()
  }
}
