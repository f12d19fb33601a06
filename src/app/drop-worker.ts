import { droppedNamespace, finishDrops } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { Patience } from '../runtime/index.ts'

/** How often it is looked whether a copy that was given up is still worked on by somebody. */
const heldLookMinMs = 100
const heldLookMaxMs = 60_000

/** On what the copies of an app stand. */
export interface DropWorkerOptions {
  readonly engine: Engine
  readonly app: string
  readonly clock: Clock
  readonly onError: (error: unknown) => void
  readonly patience: Patience
  readonly signal: AbortSignal
}

/** Removes what is kept of the copies of views that were given up, by whomever, once their time of grace is over. */
export class DropWorker {
  readonly #options: DropWorkerOptions
  #working: Promise<void> = Promise.resolve()
  #wake: () => void = () => undefined

  constructor(options: DropWorkerOptions) {
    this.#options = options
  }

  /** @param follow Whether to go on with what is given up from here on. Else it looks at what was given up before. */
  start(follow: boolean): void {
    const { engine, app, signal, onError, patience } = this.#options
    const report = (error: unknown): void => {
      if (!signal.aborted) onError(error)
    }
    // Before it looks: what is given up from here on is seen.
    if (follow) this.#listen(engine.state.watch(droppedNamespace, { prefix: `${app}.`, signal })).catch(report)
    this.#working = patience.during(() => this.#work(follow), signal).catch(report)
  }

  /** Resolves when nothing is being removed any more. */
  settled(): Promise<void> {
    return this.#working
  }

  async #listen(notes: AsyncIterable<{ readonly value: unknown }>): Promise<void> {
    for await (const { value } of notes) if (value !== undefined) this.#wake()
  }

  async #work(follow: boolean): Promise<void> {
    const { engine, app, clock, signal } = this.#options
    let heldLookMs = heldLookMinMs
    while (!signal.aborted) {
      let isWoken = false
      const woken = new Promise<void>((resolve) => {
        this.#wake = () => {
          isWoken = true
          resolve()
        }
      })
      const nowMs = clock.nowMs()
      const { nextMs, isHeld } = await finishDrops(engine, app, { nowMs, signal })
      const waitsMs = [...(nextMs === undefined ? [] : [nextMs - nowMs]), ...(isHeld ? [heldLookMs] : [])]
      heldLookMs = isHeld ? Math.min(heldLookMaxMs, heldLookMs * 2) : heldLookMinMs
      if (waitsMs.length === 0 && !follow) return
      if (!isWoken) await this.#until(woken, waitsMs.length === 0 ? undefined : Math.min(...waitsMs))
    }
  }

  /** Resolves when somebody gives a copy up, when the time is over, or when the app stops. It keeps no process alive. */
  async #until(woken: Promise<void>, waitMs: number | undefined): Promise<void> {
    const { clock, signal } = this.#options
    const { promise: over, resolve: end } = Promise.withResolvers<void>()
    const timer = waitMs === undefined ? undefined : clock.setTimer(end, waitMs, { unref: true })
    const stop = (): void => end()
    signal.addEventListener('abort', stop, { once: true })
    if (!signal.aborted) await Promise.race([woken, over])
    timer?.cancel()
    signal.removeEventListener('abort', stop)
  }
}
