import type { StandardSchemaV1 } from '@standard-schema/spec'
import { isThenable } from '../kernel/index.ts'
import { SchemaAsyncError } from './errors.ts'

const ignore = (): undefined => undefined

/**
 * What a validator says of a value, at once.
 *
 * @param subject Whose schema it is, for the error.
 * @throws SchemaAsyncError `SCHEMA_ASYNC`: it answers with a promise.
 */
export function validateNow(
  schema: StandardSchemaV1,
  value: unknown,
  subject: string,
): StandardSchemaV1.Result<unknown> {
  const result = schema['~standard'].validate(value)
  if (!isThenable(result)) return result
  // Nobody will await it, and its failure would otherwise end the process.
  result.then(ignore, ignore)
  throw new SchemaAsyncError(subject)
}
