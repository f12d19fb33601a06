import { MillraceError, type OptionProblem, OptionsInvalidError } from '../kernel/index.ts'

/** A numbered batch of a producer cannot go through an outbox. */
export class SequenceAcrossError extends MillraceError<'SEQUENCE_ACROSS_ENGINES', { readonly topic: string }> {
  constructor(topic: string) {
    super({
      code: 'SEQUENCE_ACROSS_ENGINES',
      problem: `A numbered batch for topic "${topic}" stands in one commit with changes of another engine.`,
      remedy: 'Publish it in a commit of its own, or leave the numbering out: the outbox repeats nothing by itself.',
      details: { topic },
    })
  }
}

/** A compacted topic takes no records without a key. */
export class CompactedWithoutKeyError extends MillraceError<'COMPACTED_WITHOUT_KEY', { readonly topic: string }> {
  constructor(topic: string) {
    super({
      code: 'COMPACTED_WITHOUT_KEY',
      problem: `A message for topic "${topic}" has no key, which a compacted topic needs.`,
      remedy: 'Give its definition a key, or publish it to a topic that is not compacted.',
      details: { topic },
    })
  }
}

/** All that is wrong with the parts of a deployment. */
export function refuseParts(problems: readonly OptionProblem[]): void {
  if (problems.length > 0) throw new OptionsInvalidError('deployment()', problems)
}
