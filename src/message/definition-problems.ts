import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { OptionProblem } from '../kernel/index.ts'
import { attributeTextProblem, uriReferenceProblem } from './attributes.ts'
import { topicNameProblem } from './topics.ts'
import type { UpcastChain } from './upcast.ts'

/** Options that events, commands and queries have in common. */
const commonOptions = [
  'version',
  'upcast',
  'validateOnRead',
  'key',
  'subject',
  'doc',
  'dataschema',
  'dataclassification',
]

export const notASchema = 'is not a Standard Schema validator, such as those of zod, valibot or arktype'

/**
 * The options as they were given, or, where they are no object, none at all and a problem. A name that is none of the
 * options is a problem too: a typing error must not leave out what somebody relies on.
 *
 * @param own Options that this kind of definition has besides the common ones.
 */
export function objectOf<Options extends object>(
  given: Options,
  own: readonly string[],
  problems: OptionProblem[],
): Options {
  if (typeof given !== 'object' || given === null || Array.isArray(given)) {
    problems.push({ option: 'options', problem: 'is no object' })
    return {} as Options
  }
  for (const option of Object.keys(given)) {
    if (!commonOptions.includes(option) && !own.includes(option)) problems.push({ option, problem: 'is no option' })
  }
  return given
}

/** A type name is part of file names, headers and command lines: no white space, nothing that cannot be seen. */
const typePattern = /^[^\s\p{C}]{1,255}$/u

/** What is wrong with the options that all definitions have in common. */
export function definitionProblems(
  type: string,
  version: number,
  chain: UpcastChain<number, unknown> | undefined,
  options: {
    readonly schema: unknown
    readonly validateOnRead?: unknown
    readonly key?: unknown
    readonly subject?: unknown
    readonly doc?: unknown
    readonly dataschema?: unknown
    readonly dataclassification?: unknown
  },
): OptionProblem[] {
  const problems: OptionProblem[] = []
  const add = (option: string, problem: string | undefined): void => {
    if (problem !== undefined) problems.push({ option, problem })
  }
  if (typeof type !== 'string' || !typePattern.test(type)) {
    add('type', 'is not a name of 1 to 255 printable characters without white space')
  }
  if (!Number.isSafeInteger(version) || version < 1 || version > 2 ** 31 - 1) {
    add('version', `is ${JSON.stringify(version)}, not a whole number from 1 to ${2 ** 31 - 1}`)
  }
  if (chain !== undefined && chain.to !== version) {
    add('upcast', `leads to version ${chain.to}, not to version ${version}`)
  }
  const { schema, key, subject, doc, dataschema, dataclassification } = options
  if (schema !== undefined && !isSchema(schema)) add('data', notASchema)
  if (key !== undefined && typeof key !== 'function') add('key', 'is not a function that makes a text of the data')
  if (subject !== undefined && typeof subject !== 'function') {
    add('subject', 'is not a function that makes a text of the data')
  }
  const { validateOnRead } = options
  if (validateOnRead !== undefined && typeof validateOnRead !== 'boolean')
    add('validateOnRead', 'is neither true nor false')
  if (doc !== undefined && typeof doc !== 'string') add('doc', 'is not a string')
  if (dataschema !== undefined) add('dataschema', uriReferenceProblem(dataschema))
  if (dataclassification !== undefined) add('dataclassification', attributeTextProblem(dataclassification))
  return problems
}

export function isSchema(value: unknown): boolean {
  if ((typeof value !== 'object' && typeof value !== 'function') || value === null) return false
  const standard = (value as Partial<StandardSchemaV1>)['~standard']
  return standard?.version === 1 && typeof standard.validate === 'function'
}

/** The name of a topic or queue, given as such or as the thing itself. */
export function place(option: string, given: string | { readonly name: string }, problems: OptionProblem[]): string {
  const name = typeof given === 'string' ? given : given?.name
  const problem = topicNameProblem(name)
  if (problem !== undefined) problems.push({ option, problem })
  return name
}
