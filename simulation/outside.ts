import type { Draw } from './draw.ts'
import type { History } from './history.ts'
import type { Life } from './life.ts'
import type { OutsideWeather } from './weather.ts'

/** An effect in the outside world. */
export interface OutsideEffect {
  readonly key: string
  readonly subject: string
  readonly what: string
}

/** A call to the outside world failed; whether it had its effect, nobody was told. */
export class OutsideError extends Error {
  override readonly name = 'OutsideError'
}

/** What lies beyond every commit, such as a bank: it outlives the processes, and takes idempotency keys. */
export class Outside {
  /** In the order in which they came about. */
  readonly effects: OutsideEffect[] = []
  readonly #weather: OutsideWeather
  readonly #draw: Draw
  readonly #history: History
  readonly #keys = new Set<string>()

  constructor(options: { weather: OutsideWeather; draw: Draw; history: History }) {
    this.#weather = options.weather
    this.#draw = options.draw
    this.#history = options.history
  }

  /** Has an effect once for each key. It takes a while, and may fail when it is done. */
  async call(life: Life, effect: OutsideEffect): Promise<void> {
    await life.pause(30)
    this.#maybeCrash(life)
    await life.breathe()
    if (!this.#keys.has(effect.key)) {
      this.#keys.add(effect.key)
      this.effects.push(effect)
      this.#history.trace.write(`outside ${effect.subject} ${effect.what} ${effect.key}`)
    } else this.#history.reach('an effect outside was asked for again')
    this.#maybeCrash(life)
    await life.pause(30)
    if (!life.isHealing && this.#draw.chance(this.#weather.failureChance)) {
      this.#history.reach('a call outside failed')
      throw new OutsideError('The line went dead.')
    }
  }

  /** Whether the effect of this key has come about. */
  has(key: string): boolean {
    return this.#keys.has(key)
  }

  /** Effects about one subject, in their order. */
  about(subject: string): readonly OutsideEffect[] {
    return this.effects.filter((effect) => effect.subject === subject)
  }

  #maybeCrash(life: Life): void {
    if (life.isHealing || !this.#draw.chance(this.#weather.crashChance)) return
    this.#history.reach('a crash beside a call outside')
    life.kill()
  }
}
