import type { Clock, Timer } from '../kernel/index.ts'
import { CaptureServerSilentError, CaptureStreamEndedError } from './errors.ts'
import type { Lsn } from './lsn.ts'
import { type CaptureConnection, connectClient, type PgClient } from './pg-client.ts'
import { decodeFrame, encodeStatus, type StreamItem } from './stream-frames.ts'

/** More than so much that was received and not yet taken lets the server wait. */
const waitingBytesMax = 4 * 1024 * 1024
/** Rows of a few bytes take more room than their bytes: so much is counted for each. */
const itemBytes = 200
/** A server that is there answers within a few milliseconds, but may be long at a large transaction of other tables. */
const silenceMsMax = 120_000
/** Confirmations of many commits go to the server as one. */
const confirmEveryMs = 100
/** A server that does not end the connection by then is left alone. */
const closeMsMax = 2_000

/** The connection through which changes come, with what has arrived and was not taken yet. */
export class ReplicationLink {
  /** For statements, until the stream starts. */
  readonly client: PgClient
  readonly #clock: Clock
  readonly #statusEveryMs: number
  #items: StreamItem[] = []
  #itemBytes = 0
  #isPaused = false
  #failure: unknown
  #hasFailed = false
  #isWoken = false
  #interruption: { readonly reason: unknown } | undefined
  #wakeUp: () => void = () => undefined
  #confirmed: Lsn = 0n
  #receivedMs: number
  #ticker: Timer | undefined
  #confirmer: Timer | undefined
  #isTicked = false
  #onStarted: () => void = () => undefined

  private constructor(client: PgClient, clock: Clock, statusEveryMs: number) {
    this.client = client
    this.#clock = clock
    this.#statusEveryMs = statusEveryMs
    this.#receivedMs = clock.monotonicMs()
    client.on('error', (error) => this.#fail(error))
    client.on('end', () => this.#fail(new CaptureStreamEndedError()))
    client.connection.on('replicationStart', () => this.#onStarted())
    client.connection.on('copyData', ({ chunk }) => this.#receive(chunk))
  }

  /** @throws CaptureClientMissingError, and what the client throws */
  static async open(connection: CaptureConnection, clock: Clock, statusEveryMs: number): Promise<ReplicationLink> {
    return new ReplicationLink(await connectClient(connection, 'stream'), clock, statusEveryMs)
  }

  /** Starts the stream; then no statement may run on the connection any more. @throws what the server says to it */
  async start(command: string): Promise<void> {
    const started = new Promise<void>((resolve) => {
      this.#onStarted = resolve
    })
    const ended = this.client.query(command).then(() => {
      throw new CaptureStreamEndedError()
    })
    await Promise.race([started, ended])
    ended.catch((error: unknown) => this.#fail(error))
    this.#tick()
  }

  /** What has arrived since the last call, in its order; waits for something, or for {@link wake}. @throws what ended the stream */
  async take(): Promise<readonly StreamItem[]> {
    this.#throwInterruption()
    while (this.#items.length === 0 && !this.#isWoken) {
      if (this.#hasFailed) throw this.#failure
      await new Promise<void>((resolve) => {
        this.#wakeUp = resolve
      })
      this.#throwInterruption()
    }
    this.#isWoken = false
    const items = this.#items
    this.#items = []
    this.#itemBytes = 0
    if (this.#isPaused) {
      this.#isPaused = false
      this.#receivedMs = this.#clock.monotonicMs()
      this.client.connection.stream.resume()
    }
    return items
  }

  /** Lets {@link take} answer. */
  wake(): void {
    this.#isWoken = true
    this.#wakeUp()
  }

  /** Whether the time for a heartbeat has come since this was asked last. */
  takeTick(): boolean {
    const isTicked = this.#isTicked
    this.#isTicked = false
    return isTicked
  }

  /** Everything before is durable downstream: the server is told soon. */
  confirm(lsn: Lsn): void {
    if (lsn <= this.#confirmed) return
    this.#confirmed = lsn
    this.#confirmer ??= this.#clock.setTimer(() => this.#sendStatus(false), confirmEveryMs)
  }

  /** Tells the server now how far everything is, and lets it say how far it is itself. */
  ask(): void {
    this.#sendStatus(true)
  }

  /** Answers a server that wants to hear how far everything is. */
  answer(): void {
    this.#sendStatus(false)
  }

  /** Lets {@link take} throw. What has arrived is dropped, and comes again another time. */
  interrupt(reason: unknown): void {
    this.#interruption ??= { reason }
    this.#wakeUp()
  }

  /** Ends the connection; what was confirmed goes to the server first. Waits for a moment until the slot is free. */
  async close(): Promise<void> {
    if (this.#ticker !== undefined) this.#sendStatus(false)
    const isBroken = this.#hasFailed
    this.#fail(new CaptureStreamEndedError())
    const { stream } = this.client.connection
    const ended = Promise.withResolvers<void>()
    this.client.end().then(ended.resolve, () => ended.resolve())
    // A server that is still sending hears of the end when that is read.
    if (isBroken) stream.destroy()
    else stream.resume()
    const timer = this.#clock.setTimer(() => {
      stream.destroy()
      ended.resolve()
    }, closeMsMax)
    await ended.promise
    timer.cancel()
  }

  #throwInterruption(): void {
    if (this.#interruption !== undefined) throw this.#interruption.reason
  }

  #receive(chunk: Buffer): void {
    if (this.#hasFailed) return
    this.#receivedMs = this.#clock.monotonicMs()
    try {
      const item = decodeFrame(chunk)
      if (item === undefined) return
      this.#items.push(item)
    } catch (error) {
      this.#fail(error)
      return
    }
    this.#itemBytes += chunk.length + itemBytes
    if (!this.#isPaused && this.#itemBytes > waitingBytesMax) {
      this.#isPaused = true
      this.client.connection.stream.pause()
    }
    this.#wakeUp()
  }

  /** At equal intervals: a status with a question, so that a server that is idle tells how far its log is. */
  #tick(): void {
    this.#ticker = this.#clock.setTimer(() => {
      const silentMs = this.#clock.monotonicMs() - this.#receivedMs
      if (!this.#isPaused && silentMs > silenceMsMax) {
        this.#fail(new CaptureServerSilentError(silenceMsMax))
        return
      }
      this.#isTicked = true
      this.#sendStatus(true)
      this.#tick()
    }, this.#statusEveryMs)
  }

  #sendStatus(isReplyWanted: boolean): void {
    this.#confirmer?.cancel()
    this.#confirmer = undefined
    if (this.#hasFailed) return
    this.client.connection.sendCopyFromChunk(encodeStatus(this.#confirmed, this.#clock.nowMs(), isReplyWanted))
  }

  #fail(error: unknown): void {
    if (this.#hasFailed) return
    this.#hasFailed = true
    this.#failure = error
    this.#ticker?.cancel()
    this.#confirmer?.cancel()
    this.#wakeUp()
  }
}
