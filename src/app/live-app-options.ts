import type { Engine } from '../engine/index.ts'
import type { Clock, Random } from '../kernel/index.ts'
import type { TopicResolver } from '../runtime/index.ts'
import type { CommandDesks } from './command-desks.ts'
import type { AppParts, Part } from './parts.ts'
import type { StepCalls } from './step-calls.ts'

/** What a running app is made of. */
export interface LiveAppOptions {
  readonly app: AppParts
  readonly parts: readonly Part[]
  readonly calls: StepCalls
  readonly desks: CommandDesks
  readonly engine: Engine
  readonly ownsEngine: boolean
  readonly clock: Clock
  readonly random: Random
  readonly topics: TopicResolver
  readonly stopTimeoutMs: number
  readonly sessionTimeoutMs: number
}
