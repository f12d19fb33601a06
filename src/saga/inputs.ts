import type { StandardSchemaV1 } from '@standard-schema/spec'
import { ArgumentInvalidError } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { type EventDefinition, event, type Message } from '../message/index.ts'
import { orderingKeyProblem, type PublishEffect, publish } from '../runtime/index.ts'
import { type ChildOutcome, isChildOf, type Journal, type SagaParent } from './journal.ts'

/** What an instance can be told by a message of its own topic. */
export type SagaInput =
  | { readonly kind: 'start'; readonly input: Json; readonly dataversion?: number; readonly parent?: SagaParent }
  | { readonly kind: 'signal'; readonly name: string; readonly data: Json; readonly dataversion?: number }
  /** Stop it if it is running, and undo what it has done. */
  | { readonly kind: 'cancel'; readonly reason: string }
  /** Undo what it has done, also if it has ended. */
  | { readonly kind: 'compensate'; readonly reason: string; readonly parent?: SagaParent }
  /** Try again now what waits for its next attempt, or for a better program. */
  | { readonly kind: 'retry' }
  /** Pretend that a step, or its undo, is done. */
  | { readonly kind: 'skip'; readonly step: string; readonly output: Json }
  /** A child has ended. */
  | { readonly kind: 'child'; readonly entry: string; readonly id: string; readonly outcome: ChildOutcome }

/** Type of the messages in the topics of sagas. */
export const inputType = 'millrace.saga.input'

type InputDefinition = EventDefinition<typeof inputType, SagaInput, SagaInput, undefined>

/** What Millrace writes for itself needs no validator. */
const anyInput: StandardSchemaV1<SagaInput> = Object.freeze({
  '~standard': {
    version: 1 as const,
    vendor: 'millrace',
    validate: (value: unknown) => ({ value: value as SagaInput }),
  },
})

/** By topic: as many as there are sagas in the apps of the process. */
const definitions = new Map<string, InputDefinition>()

/** Topic of what the instances of a saga of an app are told. */
export function sagaTopic(app: string, saga: string): string {
  return `${app}.saga.${saga}`
}

/** Definition of what the instances of a saga of an app are told. */
export function inputDefinition(app: string, saga: string): InputDefinition {
  const topic = sagaTopic(app, saga)
  let definition = definitions.get(topic)
  if (definition === undefined) {
    definition = event(inputType, { topic, data: anyInput }) as unknown as InputDefinition
    definitions.set(topic, definition)
  }
  return definition
}

/** A message to an instance. @throws ArgumentInvalidError `ARGUMENT_INVALID`: no instance can have such a key */
export function inputMessage(app: string, saga: string, key: string, input: SagaInput): Message {
  const problem = orderingKeyProblem(key)
  if (problem !== undefined) throw new ArgumentInvalidError(`the key of an instance of saga ${saga}`, problem)
  return inputDefinition(app, saga)(input, { partitionkey: key })
}

/** Publishes a message to an instance. */
export function inputEffect(app: string, saga: string, key: string, input: SagaInput): PublishEffect {
  return publish(inputMessage(app, saga, key, input), { topic: sagaTopic(app, saga) })
}

/** What an input tells, for people. */
export function toldBy(input: SagaInput): string {
  return input.kind === 'signal' ? `signal ${input.name}` : input.kind
}

/** Whether an input that is on its way wants a running instance compensated. */
export function callsOff(journal: Journal, data: unknown): boolean {
  const input = data as SagaInput | null
  if (input?.kind === 'cancel') return true
  return input?.kind === 'compensate' && (input.parent === undefined || isChildOf(journal, input.parent))
}

/** Who waits for an answer to an input. */
export function parentOf(input: SagaInput | null): SagaParent | undefined {
  return input?.kind === 'start' || input?.kind === 'compensate' ? input.parent : undefined
}
