import type { AppOptions, RunningApp } from '../src/app/index.ts'
import type { Engine } from '../src/engine/index.ts'
import type { Service, View } from '../src/index.ts'
import type { Draw } from './draw.ts'
import type { History } from './history.ts'
import type { Life } from './life.ts'
import type { Outside } from './outside.ts'

/** What a workload contributes to the app of one life. */
export interface Parts {
  readonly services?: readonly Service[]
  readonly views?: readonly View[]
  readonly sagas?: NonNullable<AppOptions['sagas']>
  readonly topics?: NonNullable<AppOptions['topics']>
}

/** A process at work, as clients see it. */
export interface Process {
  readonly life: Life
  readonly engine: Engine
  /** One of the starts of the app, which share the work. */
  app(): RunningApp
}

/** What all workloads of a run share. */
export interface Setting {
  readonly draw: Draw
  readonly history: History
  readonly outside: Outside
  /** How many requests a client makes in one life, at most. */
  readonly requestCount: number
  /** Whether a disk may refuse one request, and take those that come after it. */
  readonly mayBeFull: boolean
}

/** One kind of work, with the invariants that belong to it. It lives as long as a run, and knows what was promised to whom. */
export interface Workload {
  /** The app's parts, for one life. */
  parts(life: Life): Parts
  /** Clients at work; each ends by itself, or never when the process dies. Expected refusals are theirs to catch. */
  clients(process: Process): readonly Promise<void>[]
  /** Work that no app does, to be done while everything drains; never ends, or when it likes. Default: none. */
  drain?(process: Process): Promise<void>
  /** Once faults have stopped and nothing is left to do, whether what takes time is over too. Default: it is. */
  isOver?(process: Process): Promise<boolean>
  /** Compares what stands there with what was promised. */
  check(found: Found): Promise<void> | void
}

/** A record as it was read at the end. */
export interface FoundRecord {
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly id: string
  readonly type: string
  readonly key: string | undefined
  readonly data: unknown
}

/** Everything that stands there at the end. */
export interface Found {
  readonly engine: Engine
  readonly app: RunningApp
  /** Of all topics, in the order of topic, partition and offset. */
  readonly records: readonly FoundRecord[]
  /** In the order of their positions. */
  readonly events: readonly FoundEvent[]
}

/** An event of the event store as it was read at the end. */
export interface FoundEvent {
  readonly stream: string
  readonly version: number
  readonly position: number
  readonly id: string
  readonly type: string
  readonly causationId: string | undefined
  readonly timestampMs: number
  readonly data: unknown
}

/** Data of the records of one type, in the order of partition and offset: for each key that of its log. */
export function dataOf<Data>(found: Found, type: string): readonly Data[] {
  return found.records.filter((record) => record.type === type).map(({ data }) => data as Data)
}
