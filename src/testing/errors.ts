import { MillraceError } from '../kernel/index.ts'

/** The body of a saga does not ask for the same things when it runs again. */
export class SagaNotDeterministicError extends MillraceError<
  'SAGA_NOT_DETERMINISTIC',
  { readonly saga: string; readonly key: string; readonly problem: string }
> {
  constructor(saga: string, key: string, problem: string) {
    super({
      code: 'SAGA_NOT_DETERMINISTIC',
      problem: `The body of saga ${saga} was run again over the journal of ${JSON.stringify(key)}. ${problem}`,
      remedy:
        'Take times and lots from the saga, touch the outside world in steps only, and keep nothing between runs.',
      details: { saga, key, problem },
    })
  }
}
