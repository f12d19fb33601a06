import { checkOptions } from '../committing/index.ts'
import type { Engine, EngineEnvironment, EngineSource } from '../engine/index.ts'
import { type OptionProblem, systemClock, systemRandom } from '../kernel/index.ts'
import { bridgedCapabilities, type Describable } from './bridged-capabilities.ts'
import { BridgedEngine } from './bridged-engine.ts'
import { refuseParts } from './errors.ts'

/** Which engine keeps what. */
export interface DeploymentParts {
  /** Topics, and the consumer groups that share them. */
  readonly topics: EngineSource
  /** Everything else: the event store, state, timers, and the progress of handlers, which is one commit with them. */
  readonly store: EngineSource
}

/**
 * Composes engines: the same program, on other ground.
 *
 * A handler's effects and its progress stay one commit, in the engine that keeps its state. What it publishes stands in that
 * commit too, in an outbox, from which a relay carries it to the topics: in order within a partition, and exactly once where
 * the engine of the topics commits records and progress together.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`
 *
 * @example
 * ```ts
 * await using running = await shop.start({ engine: deployment({ topics: kafka({ … }), store: postgres({ … }) }) })
 * ```
 */
export function deployment(parts: DeploymentParts): EngineSource {
  const problems: OptionProblem[] = []
  for (const name of ['topics', 'store'] as const) {
    const part: unknown = parts?.[name]
    if (typeof part !== 'object' || part === null || !('open' in part)) {
      problems.push({ option: name, problem: 'is no engine, such as embedded({ path }) makes' })
    }
  }
  if (parts?.topics !== undefined && parts.topics === parts.store) {
    problems.push({ option: 'store', problem: 'is the engine of the topics too: start the app on that engine alone' })
  }
  for (const name of Object.keys(parts ?? {})) {
    if (name !== 'topics' && name !== 'store') problems.push({ option: name, problem: 'is no part of a deployment' })
  }
  refuseParts(problems)
  checkKept(parts.topics, parts.store)
  const name = `${parts.topics.name}+${parts.store.name}`
  const capabilities = bridgedCapabilities(parts.topics, parts.store)
  return { name, capabilities, open: (environment) => open(parts, environment) }
}

async function open(parts: DeploymentParts, given: Partial<EngineEnvironment> = {}): Promise<Engine> {
  checkOptions('environment', given)
  const environment = { ...given, clock: given.clock ?? systemClock, random: given.random ?? systemRandom }
  const topics = await parts.topics.open(environment)
  try {
    const store = await parts.store.open(environment)
    try {
      return await BridgedEngine.open(topics, store, environment)
    } catch (error) {
      await store.close()
      throw error
    }
  } catch (error) {
    await topics.close()
    throw error
  }
}

function checkKept(topics: Describable, store: Describable): void {
  const problems: OptionProblem[] = []
  for (const kind of ['topics', 'progress'] as const) {
    if (!topics.capabilities.keeps.includes(kind)) {
      problems.push({ option: 'topics', problem: `(${topics.name}) keeps no ${kind}` })
    }
  }
  const { bridge } = topics.capabilities
  if (bridge !== undefined) {
    const problem = `(${topics.name}) is a deployment itself, whose relays have the names that those of this one would have: give ${bridge.topics} alone`
    problems.push({ option: 'topics', problem })
  }
  if (store.capabilities.ownedState === true) {
    const problem = `(${store.name}) keeps state with the partitions of its own topics, and those of a deployment are elsewhere: take embedded() or postgres() as the store, or start the app on ${store.name} alone`
    problems.push({ option: 'store', problem })
  } else if (!store.capabilities.atomic.some((domain) => domain.includes('topics') && domain.includes('state'))) {
    const problem = `(${store.name}) does not commit state and records together, which an outbox needs`
    problems.push({ option: 'store', problem })
  }
  refuseParts(problems)
}
