import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { fixed } from '../runtime/index.ts'
import { type Step, StepRejectedError, saga, step } from '../saga/index.ts'
import { type Interruption, sagaTest } from './index.ts'

/** What a step does in each attempt; the last goes on. */
type Try = 'works' | 'fails' | 'works and fails' | 'is refused'
interface Act {
  readonly kind: 'step'
  readonly tries: readonly Try[]
  readonly undoFailures: number
  readonly hasUndo: boolean
}
type Op = Act | { readonly kind: 'together'; readonly acts: readonly Act[] } | { readonly kind: 'sleep' | 'signal' }

const act: fc.Arbitrary<Act> = fc.record({
  kind: fc.constant('step' as const),
  tries: fc.array(
    fc.oneof(
      { weight: 8, arbitrary: fc.constant<Try>('works') },
      fc.constantFrom<Try>('fails', 'works and fails', 'is refused'),
    ),
    { minLength: 1, maxLength: 3 },
  ),
  undoFailures: fc.integer({ min: 0, max: 2 }),
  hasUndo: fc.boolean(),
})
const op: fc.Arbitrary<Op> = fc.oneof(
  { weight: 4, arbitrary: act },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant('together' as const),
      acts: fc.array(act, { minLength: 2, maxLength: 3 }),
    }),
  },
  { weight: 1, arbitrary: fc.constantFrom<Op>({ kind: 'sleep' }, { kind: 'signal' }) },
)

/** The outside world: effects by idempotency key, so that the same key has its effect once. */
class Outside {
  readonly effects = new Set<string>()
  readonly begun: string[] = []
  readonly undone: string[] = []
  /** Steps that were given two keys, or the key of another step. */
  readonly keyFaults = new Set<string>()
  /** Called in each attempt at a step. */
  onRun: () => void = () => undefined
  readonly #keys = new Map<string, string>()

  steps(acts: readonly Act[]): Record<string, Step<unknown, string>> {
    return Object.fromEntries(acts.map((one, index) => [`s${index}`, this.#step(`s${index}`, one)]))
  }

  #see(name: string, key: string): void {
    if (this.#keys.get(name) === key) return
    if (this.#keys.has(name) || [...this.#keys.values()].includes(key)) this.keyFaults.add(name)
    this.#keys.set(name, key)
  }

  #step(name: string, { tries, undoFailures, hasUndo }: Act): Step<unknown, string> {
    let failuresLeft = undoFailures
    return step({
      run: (_input: unknown, ctx) => {
        this.onRun()
        if (!this.begun.includes(name)) this.begun.push(name)
        // The same key for all attempts, and for no other step.
        this.#see(name, ctx.key)
        const what = tries[Math.min(ctx.attempt, tries.length) - 1] as Try
        if (what === 'is refused') throw new StepRejectedError('refused')
        if (what.startsWith('works')) this.effects.add(name)
        if (what !== 'works') throw new RangeError('failed')
        return name
      },
      ...(hasUndo && {
        undo: (_done: unknown, ctx: { readonly runKey: string }) => {
          this.#see(name, ctx.runKey)
          if (failuresLeft-- > 0) throw new RangeError('not yet')
          this.effects.delete(name)
          if (!this.undone.includes(name)) this.undone.push(name)
        },
      }),
      retry: fixed({ delay: '1m', max: 3 }),
    })
  }
}

/** @param cancelAt Attempt at a step, counted over all of them, while which the instance is cancelled. */
async function runProgram(ops: readonly Op[], kills: readonly Interruption[], cancelAt: number | undefined) {
  const acts = ops.flatMap((one) => (one.kind === 'step' ? [one] : one.kind === 'together' ? one.acts : []))
  const outside = new Outside()
  const steps = outside.steps(acts)
  const program = saga('program', { start: z.null(), steps, signals: { go: z.number() } }, async (scope) => {
    let next = 0
    for (const [index, one] of ops.entries()) {
      if (one.kind === 'step') await scope.step(`s${next++}`)
      else if (one.kind === 'together') await Promise.all(one.acts.map(() => scope.step(`s${next++}`)))
      else if (one.kind === 'sleep') await scope.sleep(`sleep${index}`, '5m')
      else await scope.signal('go')
    }
    return next
  })
  let commit = 0
  const trial = sagaTest(program, { interrupt: () => kills[commit++] })
  const cancelled: Promise<void>[] = []
  let runCount = 0
  outside.onRun = () => {
    if (++runCount === cancelAt) cancelled.push(trial.cancel('k'))
  }
  await trial.start('k', null)
  for (const one of ops) if (one.kind === 'signal') await trial.signal('k', 'go', 1)
  for (let round = 0; round < 200 && (trial.instance('k')?.endedMs ?? null) === null; round++) await trial.advance('5m')
  await Promise.all(cancelled)
  const status = trial.outcome('k')?.status
  const ids = (trial.instance('k')?.activities ?? []).map(({ id }) => id)
  const inEffect = [...outside.effects].filter((name) => status === 'completed' || acts[Number(name.slice(1))]?.hasUndo)
  return {
    seen: { ended: true, inEffect: inEffect.sort(), undone: outside.undone, keyFaults: outside.keyFaults.size },
    // Of a completed one all is in effect; of one that was compensated nothing that can be undone.
    wanted: {
      ended: status === 'completed' || status === 'compensated',
      inEffect: status === 'completed' ? acts.map((_, index) => `s${index}`).sort() : [],
      undone: status === 'completed' ? [] : ids.filter((id) => outside.undone.includes(id)).reverse(),
      keyFaults: 0,
    },
  }
}

describe('any program of steps', () => {
  it('ends with all done or all undone in reverse order, whatever fails, wherever its process dies or it is cancelled', async () => {
    const kill = fc.option(fc.constantFrom<Interruption>('before', 'after'), { nil: undefined, freq: 3 })
    await fc.assert(
      fc.asyncProperty(
        fc.array(op, { minLength: 1, maxLength: 6 }),
        fc.array(kill, { maxLength: 25 }),
        fc.option(fc.integer({ min: 1, max: 8 }), { nil: undefined }),
        async (ops, kills, cancelAt) => {
          const { seen, wanted } = await runProgram(ops, kills, cancelAt)
          expect(seen).toEqual(wanted)
        },
      ),
      { numRuns: 300, verbose: 1 },
    )
  })
})
