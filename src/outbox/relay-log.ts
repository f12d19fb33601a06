import { type Capture, type CapturedChange, captureChanges, hasCapturePlace, type Row } from '../capture/index.ts'
import type { PublishWrite } from '../engine/index.ts'
import { type Json, MillraceError, sleep } from '../kernel/index.ts'
import { channels } from '../telemetry/index.ts'
import { OutboxRowRefusedError } from './errors.ts'
import { finalCodes, OutboxCarrier } from './outbox-carrier.ts'
import { type OutboxRow, writesOf } from './outbox-row.ts'
import { RelayLedger } from './relay-ledger.ts'
import { type LogRelayOptions, type ResolvedLogRelayOptions, resolveLogRelayOptions } from './relay-options.ts'
import { RelaySession, type WaitingRow } from './relay-session.ts'

/** How often a relay that stands by asks whether it is its turn. */
const turnEveryMs = 1_000
const retryMinMs = 100
const retryMaxMs = 10_000
/** Rows that were published are cleared so many at a time, and not more often than this. */
const clearRowsMax = 5_000
const clearEveryMs = 500
/** Room for what a record holds beside key and message, in bytes. */
const recordBytesBeside = 2_000

/** Where the engine keeps what was published before the log was read. */
const namespace = 'outbox-relay'

/** A relay that reads the server's log. */
export interface OutboxLogRelay extends AsyncDisposable {
  /** Finishes what is under way, and gives slot, lock and connections back. Idempotent. */
  close(): Promise<void>
}

/**
 * Publishes what is put into an outbox as the server's log tells of it, for as long as it runs: within milliseconds of the commit,
 * in the order of the commits, and without a look at the table to find it. The table is used to clear what was published.
 *
 * It promises what {@link relayOutbox} does, which stands by meanwhile, as all other relays of the outbox. What stands in the outbox
 * at its first start is published first. The server keeps its log until the relay has read it: drop the slot when the relay is no longer used.
 *
 * @throws OptionsInvalidError
 * @example
 * ```ts
 * await createOutbox(pool)
 * await createCapture({ connection: url, slot: 'outbox', tables: ['millrace_outbox'] })
 * await using relay = relayOutboxLog({ connection: url, slot: 'outbox', pool, engine })
 * ```
 */
export function relayOutboxLog(options: LogRelayOptions): OutboxLogRelay {
  return new LogRelay(resolveLogRelayOptions(options))
}

/** What a topic takes. */
interface KnownTopic {
  /** Largest record, in bytes. */
  readonly bytesMax: number
  /** It compacts. */
  readonly needsKey: boolean
  /** Why it takes nothing at all. */
  readonly refusal: string | undefined
}

class LogRelay implements OutboxLogRelay {
  readonly #options: ResolvedLogRelayOptions
  readonly #end = new AbortController()
  readonly #running: Promise<void>
  readonly #topics = new Map<string, KnownTopic>()
  #session: RelaySession | undefined
  #capture: Capture | undefined
  /** Of these transactions everything was published before the log was read. */
  #before = ''

  constructor(options: ResolvedLogRelayOptions) {
    this.#options = options
    this.#running = this.#run()
  }

  async close(): Promise<void> {
    this.#end.abort()
    await this.#capture?.close()
    await this.#running
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
  }

  async #run(): Promise<void> {
    let delayMs = retryMinMs
    while (!this.#end.signal.aborted) {
      try {
        await this.#work(() => {
          delayMs = retryMinMs
        })
      } catch (error) {
        if (this.#end.signal.aborted) break
        this.#tell(error, delayMs)
        await this.#nap(delayMs)
        delayMs = Math.min(retryMaxMs, delayMs * 2)
      }
    }
  }

  /** One session, from its connection to the first thing that goes wrong. */
  async #work(onProgress: () => void): Promise<void> {
    const { pool, name, clock, connection, slot, engine } = this.#options
    const session = await RelaySession.open(pool, name, clock)
    this.#session = session
    try {
      while (!(await session.tryLock())) {
        onProgress()
        await this.#nap(turnEveryMs)
        if (this.#end.signal.aborted) return
      }
      this.#before = await this.#publishBefore(session)
      if (this.#end.signal.aborted) return
      const publish = (change: CapturedChange) => this.#publish(change)
      await using capture = captureChanges({ connection, slot, engine, publish, snapshot: false, clock })
      this.#capture = capture
      await Promise.race([capture.finished, this.#clear(session, capture, onProgress)])
    } finally {
      session.close()
    }
  }

  /** What to publish for a change of the table: the message of a row that waits. */
  #publish({ what, data }: CapturedChange): readonly PublishWrite[] | Promise<readonly PublishWrite[]> {
    const { after, unchanged = [] } = data
    // What was published is marked or deleted, and what its topic does not take is set aside.
    if (what === 'deleted' || after === null || after['sent_at'] !== null || after['refusal'] !== null) return []
    const id = textOf(after['id'])
    const topic = textOf(after['topic'])
    const mayBeBefore = what === 'inserted' && BigInt(textOf(after['tx'])) < BigInt(this.#before.split(':')[1] ?? 0)
    // A row that was set aside and is to be tried again may not bring its message along.
    const needsMore = mayBeBefore || unchanged.includes('message') || !this.#topics.has(topic)
    return needsMore ? this.#publishSoon(id, topic, after, mayBeBefore) : this.#writesOf(rowOf(id, topic, after))
  }

  async #publishSoon(id: string, topic: string, after: Row, mayBeBefore: boolean): Promise<readonly PublishWrite[]> {
    const session = this.#session as RelaySession
    if (mayBeBefore && (await session.sees(this.#before, textOf(after['tx'])))) return []
    await this.#learnTopic(topic)
    const message = after['message'] ?? (await session.message(id))
    return message === undefined ? [] : this.#writesOf(rowOf(id, topic, { ...after, message }))
  }

  /**
   * Publishes what stands in the outbox before the log is read for the first time, and tells which transactions that was: what the
   * log tells of them is passed over.
   */
  async #publishBefore(session: RelaySession): Promise<string> {
    const { engine, slot } = this.#options
    const key = `${session.tableId}/${slot}`
    const keepsState = RelayLedger.of(engine, session.tableId) !== undefined
    if (await hasCapturePlace(engine, slot)) {
      const entry = keepsState ? await engine.state.get(namespace, key) : undefined
      return entry === undefined ? this.#before : textOf(entry.value)
    }
    const carrier = new OutboxCarrier(this.#options, session, new Map())
    await carrier.clearLast()
    while ((await carrier.carry()) > 0) if (this.#end.signal.aborted) return ''
    const before = session.lastSnapshot
    if (keepsState) await engine.commit({ state: [{ kind: 'set', namespace, key, value: before }] })
    return before
  }

  #writesOf(row: OutboxRow): readonly PublishWrite[] {
    const bytes = Buffer.byteLength(row.message) + Buffer.byteLength(row.key ?? '')
    return this.#refusalOf({ topic: row.topic, bytes, isKeyed: row.key !== null }) === undefined ? writesOf([row]) : []
  }

  /** Why a topic does not take a row: the same here, where it is not published, and where it would be cleared. */
  #refusalOf({ topic: name, bytes, isKeyed }: Omit<WaitingRow, 'id'>): string | undefined {
    const topic = this.#topics.get(name)
    if (topic === undefined || topic.refusal !== undefined) return topic?.refusal
    if (topic.needsKey && !isKeyed)
      return `ARGUMENT_INVALID: topic "${name}" compacts, and takes no record without a key.`
    if (bytes + recordBytesBeside <= topic.bytesMax) return undefined
    return `RECORD_TOO_LARGE: topic "${name}" takes records of ${topic.bytesMax} bytes at most.`
  }

  async #learnTopic(topic: string): Promise<void> {
    const { engine, createTopics } = this.#options
    try {
      const description = createTopics ? await engine.topics.ensure(topic) : await engine.topics.describe(topic)
      if (description === undefined) return
      const { recordBytesMax: bytesMax, cleanup } = description.config
      this.#topics.set(topic, { bytesMax, needsKey: cleanup !== 'delete', refusal: undefined })
    } catch (error) {
      if (!(error instanceof MillraceError && finalCodes.has(error.code))) throw error
      this.#topics.set(topic, { bytesMax: 0, needsKey: false, refusal: `${error.code}: ${error.message}` })
    }
  }

  /** Clears rows once everything is published that was committed when they were looked at. */
  async #clear(session: RelaySession, capture: Capture, onProgress: () => void): Promise<void> {
    const { keepMs, name } = this.#options
    while (!this.#end.signal.aborted) {
      const rows = await session.waiting(clearRowsMax)
      if (rows.length > 0) {
        await capture.caughtUp()
        for (const { topic } of rows) if (!this.#topics.has(topic)) await this.#learnTopic(topic)
        const published: string[] = []
        for (const row of rows) {
          const { id, topic } = row
          const refusal = this.#refusalOf(row)
          if (refusal === undefined) published.push(id)
          else {
            await session.setAside(id, refusal)
            this.#tell(new OutboxRowRefusedError(name.shown, id, topic), 0, topic)
          }
        }
        if (published.length > 0) await session.clear(published, keepMs !== undefined)
      }
      if (keepMs !== undefined) await session.purge(keepMs, clearRowsMax)
      onProgress()
      if (rows.length < clearRowsMax) await this.#nap(clearEveryMs)
    }
  }

  #tell(error: unknown, delayMs: number, topic: string = this.#options.name.shown): void {
    if (channels.relayFailed.hasSubscribers) channels.relayFailed.publish({ topic, error, delayMs })
  }

  async #nap(forMs: number): Promise<void> {
    await sleep(forMs, this.#options.clock, this.#end.signal).catch(() => undefined)
  }
}

function rowOf(id: string, topic: string, after: Row): OutboxRow {
  const key = after['key'] ?? null
  return { id, topic, key: key === null ? null : textOf(key), message: textOf(after['message']) }
}

/** Of columns that are text, or numbers of 64 bits, which are written as text. */
function textOf(value: Json | undefined): string {
  return typeof value === 'string' ? value : ''
}
