import type { RunningApp } from '../../src/app/index.ts'
import { sleep, systemClock } from '../../src/kernel/index.ts'
import { AlarmCancelled, AlarmSet, ErrandBegun, Placed, Repeated } from './endured-app.ts'

const keyCount = 6
const pauseMs = 20
/** Rings, and ends, only with the clock an hour ahead. */
const longMs = 30 * 60_000
/** No clock gets so far before it is cancelled. */
const neverMs = 90 * 60_000
const longEvery = 7

/** Publishes round after round, and knows what has to come of it. */
export class EnduredWork {
  readonly #running: RunningApp
  #isOver = false
  /** The round at hand. */
  round = 0
  /** Rounds that were acknowledged. */
  acknowledgedCount = 0
  /** In their order: one call after the other. */
  readonly placed: ReturnType<typeof Placed>[] = []
  /** Each of these was published twice. */
  readonly repeated: ReturnType<typeof Repeated>[] = []
  readonly alarms: Set<string> = new Set()
  readonly errands: Set<string> = new Set()

  constructor(running: RunningApp) {
    this.#running = running
  }

  /** Works until it is told to end. Rejects when anything is not acknowledged. */
  async run(): Promise<void> {
    let again: readonly ReturnType<typeof Repeated>[] = []
    while (!this.#isOver) {
      const { round } = this
      const placed = Array.from({ length: keyCount }, (_, n) => Placed({ id: `k${n}`, round, waitMs: 0 }))
      const repeated = [Repeated({ id: `k${round % keyCount}`, round, waitMs: 0 })]
      const isLong = round % longEvery === 0
      const waitMs = isLong ? longMs : (round * 13) % 150
      const alarm = AlarmSet({ id: `a${round}`, round, waitMs })
      const cancelled = [
        AlarmSet({ id: `c${round}`, round, waitMs: neverMs }),
        AlarmCancelled({ id: `c${round}`, round, waitMs: 0 }),
      ]
      const errand = ErrandBegun({ id: `e${round}`, round, waitMs })
      await this.#running.publish([...placed, ...repeated, ...again, alarm, ...cancelled, errand])
      this.placed.push(...placed)
      this.repeated.push(...repeated)
      this.alarms.add(alarm.data.id)
      this.errands.add(errand.data.id)
      // Those of the next round come behind it; the last ones are published once.
      again = repeated
      this.acknowledgedCount++
      this.round++
      await sleep(pauseMs, systemClock)
    }
    // These wait when all else is done, with nothing beside them that would wake who looks after them.
    this.alarms.add('last')
    this.errands.add('last')
    const last = { id: 'last', round: this.round, waitMs: longMs }
    await this.#running.publish([AlarmSet(last), ErrandBegun(last)])
  }

  end(): void {
    this.#isOver = true
  }
}
