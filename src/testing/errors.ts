import { MillraceError } from '../kernel/index.ts'

/**
 * A specification that does not hold. Test runners show `expected` and `actual` beside each other, as they do for any
 * assertion.
 */
export class SpecificationFailedError extends MillraceError<
  'SPECIFICATION_FAILED',
  { readonly subject: string; readonly what: string }
> {
  readonly expected: unknown
  readonly actual: unknown
  /** Asks runners for the difference. */
  readonly showDiff: boolean = true

  constructor(subject: string, what: string, expected: unknown, actual: unknown) {
    super({
      code: 'SPECIFICATION_FAILED',
      problem: `${subject}: ${what}. Expected ${brief(expected)}, but it was ${brief(actual)}.`,
      remedy: 'Correct the specification or what it specifies.',
      details: { subject, what },
    })
    this.expected = expected
    this.actual = actual
  }
}

const charactersMax = 1000

function brief(value: unknown): string {
  const text = JSON.stringify(value) ?? String(value)
  return text.length <= charactersMax ? text : `${text.slice(0, charactersMax)}…`
}

/** A step under test asks a command or query that the test does not answer. */
export class AskNotUnderTestError extends MillraceError<
  'ASK_NOT_UNDER_TEST',
  { readonly option: 'ask' | 'query'; readonly type: string }
> {
  constructor(option: 'ask' | 'query', type: string) {
    super({
      code: 'ASK_NOT_UNDER_TEST',
      problem: `A step asks ${type}, which nobody answers in this test.`,
      remedy: `Give sagaTest() the option "${option}", a function that answers it.`,
      details: { option, type },
    })
  }
}

/** A saga whose child is not part of its test. */
export class SagaNotUnderTestError extends MillraceError<'SAGA_NOT_UNDER_TEST', { readonly saga: string }> {
  constructor(saga: string) {
    super({
      code: 'SAGA_NOT_UNDER_TEST',
      problem: `Something was told to saga "${saga}", which is not part of the test: whoever waits for it would wait for ever.`,
      remedy: 'Name it in the test: sagaTest(parent, { others: [child] }).',
      details: { saga },
    })
  }
}

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
