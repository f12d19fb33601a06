import { type Clock, ClosedError } from '../kernel/index.ts'
import type { ChangeWatch } from './change-watch.ts'
import type { CommitChannel } from './commit-channel.ts'
import type { StatementPool } from './statement-pool.ts'

/** What the parts of one open engine share. */
export interface EngineCore {
  /** As it was given, for sentences. */
  readonly schemaName: string
  /** Quoted, for statements. */
  readonly schema: string
  readonly clock: Clock
  readonly pool: StatementPool
  readonly channel: CommitChannel
  readonly changes: ChangeWatch
  /** Throws if the engine was closed. */
  refuseIfDone(): void
  /** Does something that writes, after all commits made before; refuses it once `close()` was called. */
  inOrder<T>(work: () => Promise<T>): Promise<T>
}

/** Whether the engine is open, closing or closed. */
export class Openness {
  #state: 'open' | 'closing' | 'closed' = 'open'

  get isOpen(): boolean {
    return this.#state === 'open'
  }

  close(): void {
    if (this.#state === 'open') this.#state = 'closing'
  }

  end(): void {
    this.#state = 'closed'
  }

  /** Reading is answered until the end. */
  refuseIfDone(): void {
    if (this.#state === 'closed') throw new ClosedError('The engine')
  }

  /** Writing is refused from the call of `close()` on. */
  refuseIfClosing(): void {
    if (this.#state !== 'open') throw new ClosedError('The engine')
  }
}
