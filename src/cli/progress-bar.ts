import type { Clock } from '../kernel/index.ts'
import type { Output } from './output.ts'

/** A bar is drawn anew after this long, in milliseconds. */
const redrawMs = 100
const barColumns = 30

/** Shows on stderr how far long work is, if a terminal is there; else it is silent. */
export class ProgressBar implements Disposable {
  readonly #output: Output
  readonly #clock: Clock
  readonly #label: string
  #drawnAtMs = Number.NEGATIVE_INFINITY
  #isDrawn = false

  constructor(output: Output, clock: Clock, label: string) {
    this.#output = output
    this.#clock = clock
    this.#label = label
  }

  /** `total` 0 means that it is not known. */
  update(done: number, total: number): void {
    const nowMs = this.#clock.monotonicMs()
    if (!this.#output.stderrIsTerminal || nowMs - this.#drawnAtMs < redrawMs) return
    this.#drawnAtMs = nowMs
    this.#isDrawn = true
    const share = total > 0 ? Math.min(1, done / total) : 0
    const filled = Math.round(share * barColumns)
    const bar = `${'█'.repeat(filled)}${'░'.repeat(barColumns - filled)}`
    const figures =
      total > 0 ? `${bar} ${String(Math.floor(share * 100)).padStart(3)} %  ${done}/${total}` : String(done)
    this.#output.aside(`\r\u001B[2K${this.#label} ${figures}`)
  }

  /** Takes the bar away. */
  [Symbol.dispose](): void {
    if (this.#isDrawn) this.#output.aside('\r\u001B[2K')
    this.#isDrawn = false
  }
}
