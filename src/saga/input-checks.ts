import type { StandardSchemaV1 } from '@standard-schema/spec'
import { frozenJson, type Json, JsonInvalidError } from '../kernel/index.ts'
import type { AnyEventDefinition } from '../message/index.ts'
import type { SagaDefinition } from './definition.ts'
import { SagaInputInvalidError } from './errors.ts'
import type { SagaInput } from './inputs.ts'

const kinds: ReadonlySet<unknown> = new Set(['start', 'signal', 'cancel', 'compensate', 'retry', 'skip', 'child'])

/** Whether what carries data is an event, not a schema. */
export function isEvent(source: AnyEventDefinition | StandardSchemaV1): source is AnyEventDefinition {
  return 'messageKind' in source
}

/**
 * An input with its data as the schema makes it.
 *
 * @throws SagaInputInvalidError `SAGA_INPUT_INVALID`
 */
export function checkedInput(definition: SagaDefinition, input: SagaInput): SagaInput {
  const { name, signals, start } = definition
  if (!kinds.has(input?.kind)) throw new SagaInputInvalidError(name, 'it is no input of a saga')
  if (input.kind === 'signal') {
    if (!Object.hasOwn(signals, input.name)) throw new SagaInputInvalidError(name, `it has no signal ${input.name}`)
    return { ...input, data: valid(name, signals[input.name], input.data, `the data of signal ${input.name}`) }
  }
  return input.kind === 'start' ? { ...input, input: valid(name, start, input.input, 'the input') } : input
}

function valid(
  saga: string,
  source: AnyEventDefinition | StandardSchemaV1 | undefined,
  data: Json,
  what: string,
): Json {
  const schema = source === undefined ? undefined : isEvent(source) ? source.schema : source
  if (schema === undefined) return data
  const result = schema['~standard'].validate(data)
  if (result instanceof Promise) {
    // Nobody will await it, and its failure would otherwise end the process.
    result.catch(() => undefined)
    throw new SagaInputInvalidError(saga, `the schema of ${what} validates asynchronously`)
  }
  if (result.issues === undefined) return carried(saga, result.value, what)
  const issues = result.issues.map(({ message }) => message).join('; ')
  throw new SagaInputInvalidError(saga, `${what} does not fit its schema: ${issues}`)
}

/** A journal keeps it, so what a schema makes has to be JSON. */
function carried(saga: string, value: unknown, what: string): Json {
  try {
    return frozenJson(value as Json, what)
  } catch (error) {
    if (!(error instanceof JsonInvalidError)) throw error
    const { path, reason } = error.details
    throw new SagaInputInvalidError(saga, `its schema makes no JSON: ${path} ${reason}`)
  }
}
