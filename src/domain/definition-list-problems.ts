import type { OptionProblem } from '../kernel/index.ts'
import type { AnyDefinition } from '../message/index.ts'

/** What is wrong with a list of definitions of one kind. */
export function definitionListProblems(
  option: string,
  kind: AnyDefinition['messageKind'],
  list: unknown,
): OptionProblem[] {
  if (!Array.isArray(list) || list.length === 0) return [{ option, problem: 'is no list with something in it' }]
  const problems: OptionProblem[] = []
  const seen = new Set<string>()
  for (const definition of list as readonly (AnyDefinition | undefined)[]) {
    if (definition?.messageKind !== kind) problems.push({ option, problem: `holds what is no definition of a ${kind}` })
    else if (seen.has(definition.type)) problems.push({ option, problem: `names ${definition.type} twice` })
    else seen.add(definition.type)
  }
  return problems
}

/** What is wrong with a record that has one function for each definition. */
export function functionProblems(option: string, definitions: unknown, given: unknown): OptionProblem[] {
  const list = Array.isArray(definitions) ? (definitions as readonly (AnyDefinition | undefined)[]) : []
  const types = new Set(list.flatMap((definition) => definition?.type ?? []))
  if (typeof given !== 'object' || given === null) return [{ option, problem: 'is no object of functions' }]
  const functions = given as Readonly<Record<string, unknown>>
  const problems: OptionProblem[] = []
  for (const type of types) {
    if (!Object.hasOwn(functions, type) || typeof functions[type] !== 'function') {
      problems.push({ option: `${option}.${type}`, problem: 'is not a function' })
    }
  }
  for (const type of Object.keys(functions)) {
    if (!types.has(type)) problems.push({ option: `${option}.${type}`, problem: 'names none of its definitions' })
  }
  return problems
}
