import { OptionsInvalidError } from '../kernel/index.ts'

/** The whole number after `N`, as a type: `Successor<2>` is `3`. Plain `number` beyond 999 or where `N` is not literal. */
export type Successor<N extends number> = number extends N
  ? number
  : [...Tally<N>, unknown]['length'] extends infer Next extends number
    ? Next
    : number

type Tally<N extends number, Counted extends readonly unknown[] = []> = Counted['length'] extends N
  ? Counted
  : Counted['length'] extends 999
    ? readonly unknown[]
    : Tally<N, [...Counted, unknown]>

type Step = (data: never) => unknown

/** What happened to data on its way through an {@link UpcastChain}. */
export type UpcastResult<Data> =
  | { readonly ok: true; readonly data: Data }
  | { readonly ok: false; readonly failedAt: number; readonly cause: unknown }

/**
 * Steps that bring data of old versions to a newer one, each from one version to the next. Made by {@link upcastFrom}.
 *
 * Immutable: each {@link UpcastChain.andFrom} gives a new chain.
 */
export class UpcastChain<To extends number, Data> {
  /** Oldest version that the chain can read. */
  readonly from: number
  /** Version that the chain leads to. */
  readonly to: To
  readonly #steps: readonly Step[]

  /** For {@link upcastFrom} only. */
  constructor(from: number, to: To, steps: readonly Step[]) {
    this.from = from
    this.to = to
    this.#steps = steps
    Object.freeze(this)
  }

  /** Adds the step that leads on from `version`, which must be the version that the chain has reached. */
  andFrom<Next>(version: To, step: (data: Data) => Next): UpcastChain<Successor<To>, Next> {
    if (version !== this.to) {
      const problem = `${version} does not follow: the chain has reached version ${this.to}`
      throw new OptionsInvalidError('an upcast', [{ option: 'version', problem }])
    }
    checkStep(step)
    return new UpcastChain((this as UpcastChain<To, Data>).from, (version + 1) as Successor<To>, [...this.#steps, step])
  }

  /** Runs the steps from `version` on. A step that throws ends it. */
  run(version: number, data: unknown): UpcastResult<Data> {
    let current = data
    for (let at = version; at < this.to; at++) {
      try {
        current = (this.#steps[at - this.from] as (data: unknown) => unknown)(current)
      } catch (cause) {
        return { ok: false, failedAt: at, cause }
      }
    }
    return { ok: true, data: current as Data }
  }
}

/**
 * Begins an upcast: how data of an old version becomes data of the next.
 *
 * Data of a message is frozen, so a step returns new data. The last step must return what the schema of the definition
 * takes; the result is validated by it.
 *
 * @example
 * ```ts
 * const CustomerMoved = event('CustomerMoved', {
 *   version: 3,
 *   data: z.object({ customerId: z.string(), street: z.string(), country: z.string() }),
 *   upcast: upcastFrom(1, (d: { id: string; street: string }) => ({ customerId: d.id, street: d.street }))
 *     .andFrom(2, (d) => ({ ...d, country: 'NL' })),
 * })
 * ```
 */
export function upcastFrom<const From extends number, Old, Next>(
  version: From,
  step: (data: Old) => Next,
): UpcastChain<Successor<From>, Next> {
  if (!Number.isSafeInteger(version) || version < 1) {
    throw new OptionsInvalidError('an upcast', [
      { option: 'version', problem: `is ${version}, not a whole number from 1` },
    ])
  }
  checkStep(step)
  return new UpcastChain(version, (version + 1) as Successor<From>, [step])
}

function checkStep(step: unknown): void {
  if (typeof step !== 'function') {
    throw new OptionsInvalidError('an upcast', [{ option: 'step', problem: 'is not a function' }])
  }
}
