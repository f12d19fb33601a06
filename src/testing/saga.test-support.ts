import { z } from 'zod'
import { none } from '../runtime/index.ts'
import { type Step, StepRejectedError, step } from '../saga/index.ts'

/** Any input. */
export const anything: z.ZodUnknown = z.unknown()

/** What happened outside, in order. */
export function world(): {
  readonly log: string[]
  readonly act: (name: string, options?: Partial<Step<unknown, unknown>>) => Step<unknown, unknown>
} {
  const log: string[] = []
  return {
    log,
    act: (name, options = {}) =>
      step<unknown, unknown>({
        run: () => {
          log.push(name)
          return `${name} done`
        },
        undo: ({ outcome }) => void log.push(`undo ${name}${outcome === 'unknown' ? '?' : ''}`),
        retry: none,
        ...options,
      }),
  }
}

/** Refuses. */
export const failing: Step<unknown, never>['run'] = () => {
  throw new StepRejectedError('refused')
}
/** Throws. */
export const broken: Step<unknown, never>['run'] = () => {
  throw new RangeError('broken')
}
