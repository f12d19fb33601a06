import { frozenJson, type Json, JsonInvalidError } from '../kernel/index.ts'
import { validateNow } from '../message/index.ts'
import type { SagaDefinition } from './definition.ts'
import { SagaInputInvalidError } from './errors.ts'
import type { SagaInput } from './inputs.ts'
import { currentData, type DataSource, isEvent, versionOf } from './kept-data.ts'

const kinds: ReadonlySet<unknown> = new Set(['start', 'signal', 'cancel', 'compensate', 'retry', 'skip', 'child'])

/**
 * An input with its data as the schema makes it.
 *
 * @throws SagaInputInvalidError `SAGA_INPUT_INVALID`, SchemaAsyncError `SCHEMA_ASYNC`, and what keeps data of another version from being read
 */
export function checkedInput(definition: SagaDefinition, input: SagaInput): SagaInput {
  const { name, signals, start } = definition
  if (!kinds.has(input?.kind)) throw new SagaInputInvalidError(name, 'it is no input of a saga')
  if (input.kind === 'signal') {
    if (!Object.hasOwn(signals, input.name)) throw new SagaInputInvalidError(name, `it has no signal ${input.name}`)
    const source = signals[input.name]
    const data = currentData(source, input.data, input.dataversion)
    return stamped({ ...input, data: valid(name, source, data, `the data of signal ${input.name}`) }, source)
  }
  if (input.kind !== 'start') return input
  const given = currentData(start, input.input, input.dataversion)
  return stamped({ ...input, input: valid(name, start, given, 'the input') }, start)
}

/** With the version of the event that it is. */
export function stamped<Input extends object>(input: Input, source: DataSource | undefined): Input {
  const dataversion = versionOf(source)
  return dataversion === undefined ? input : { ...input, dataversion }
}

function valid(saga: string, source: DataSource | undefined, data: Json, what: string): Json {
  const schema = source === undefined ? undefined : isEvent(source) ? source.schema : source
  if (schema === undefined) return data
  const result = validateNow(schema, data, `${what} of saga ${saga}`)
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
