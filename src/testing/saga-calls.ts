import type { CommandOutcome } from '../domain/index.ts'
import type { AnyQueryDefinition, Message } from '../message/index.ts'
import type { SagaCalls } from '../saga/index.ts'
import { AskNotUnderTestError } from './errors.ts'

/** What steps under test are answered. */
export interface AnswersUnderTest {
  /**
   * Handles the commands that steps ask; each has the id under which it would be remembered. Default: a step that asks fails the test.
   */
  readonly ask?: (command: Message) => CommandOutcome | Promise<CommandOutcome>
  /** Answers the queries that steps ask. Default: a step that asks fails the test. */
  readonly query?: (query: AnyQueryDefinition, params: unknown) => unknown
}

/** @param fail Hears that a step has asked what the test does not answer. */
export function callsUnderTest({ ask, query }: AnswersUnderTest, fail: (error: Error) => void): SagaCalls {
  const notUnderTest = (option: keyof AnswersUnderTest, type: string): never => {
    const error = new AskNotUnderTestError(option, type)
    fail(error)
    throw error
  }
  return {
    ask: async (command) => (ask === undefined ? notUnderTest('ask', command.type) : ask(command)),
    query: async (asked, params) => (query === undefined ? notUnderTest('query', asked.type) : query(asked, params)),
  }
}
