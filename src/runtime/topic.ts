import { topicConfigProblems } from '../committing/index.ts'
import type { TopicConfig } from '../engine/index.ts'
import { OptionsInvalidError } from '../kernel/index.ts'
import { topicNameProblem } from '../message/index.ts'
import { TopicRedeclaredError } from './errors.ts'

/** A topic that the program declares, with its settings. Made by {@link topic}. */
export interface TopicDeclaration {
  readonly name: string
  readonly config: TopicConfig
}

/**
 * All declarations of the process by name: a definition of an event keeps only the name of its topic. Bounded by the
 * source code: topics are declared at module level.
 */
const declarations = new Map<string, TopicDeclaration>()

/**
 * Declares a topic. An app that uses it creates it with these settings if it does not exist yet. One that exists is left as
 * it is: where it differs from what is declared, `start()` is refused (`TOPIC_DIFFERS`), or warns as `process.emitWarning` does.
 *
 * @param name 1 to 249 letters, digits, `.`, `_` and `-`.
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all settings that are wrong. TopicRedeclaredError `TOPIC_REDECLARED`: the process has declared it with other settings.
 *
 * @example
 * ```ts
 * const orders = topic('orders', { partitions: 8, retentionMs: 604_800_000 })
 * const OrderPlaced = event('OrderPlaced', { topic: orders, data: Order, key: (d) => d.orderId })
 * ```
 */
export function topic(name: string, config: TopicConfig = {}): TopicDeclaration {
  const problems = topicConfigProblems(config)
  const nameProblem = topicNameProblem(name)
  if (nameProblem !== undefined) problems.unshift({ option: 'name', problem: nameProblem })
  if (problems.length > 0) throw new OptionsInvalidError(`topic ${JSON.stringify(name)}`, problems)
  const declared: TopicDeclaration = Object.freeze({ name, config: Object.freeze({ ...config }) })
  const earlier = declarations.get(name)
  if (earlier !== undefined && !sameConfig(earlier.config, config)) throw new TopicRedeclaredError(name)
  declarations.set(name, declared)
  return declared
}

/** What the process declared under this name. */
export function declaredTopic(name: string): TopicDeclaration | undefined {
  return declarations.get(name)
}

function sameConfig(a: TopicConfig, b: TopicConfig): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]) as Set<keyof TopicConfig>
  return [...names].every((name) => a[name] === b[name])
}
