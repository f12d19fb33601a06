import type { Json } from '../kernel/index.ts'

/** A durable timer. */
export interface Timer {
  readonly owner: string
  readonly id: string
  readonly dueMs: number
  readonly payload: Json
  /** Changes each time the timer is scheduled anew. */
  readonly revision: number
}

/** Durable timers. They are scheduled, cancelled and settled by `Engine.commit` only. */
export interface Timers {
  /** Timers of `owner` due at or before `nowMs`, oldest first. `limit` default 100. */
  due(owner: string, nowMs: number, limit?: number): Promise<readonly Timer[]>
  /** When the next timer of `owner` is due; undefined: none is scheduled. */
  nextDueMs(owner: string): Promise<number | undefined>
  list(options?: { owner?: string; limit?: number }): Promise<readonly Timer[]>
  /** Calls `listener` after each commit that scheduled a timer of `owner`; the function returned stops it. */
  onScheduled(owner: string, listener: (dueMs: number) => void): () => void
}
