/** A connection of a pool as `pg` gives it. */
export interface RelayConnection {
  query(text: string, values: unknown[]): Promise<{ readonly rows: readonly unknown[] }>
  on(event: 'error', listener: (error: Error) => void): unknown
  /** `true`: it is ended, and does not go back into the pool. */
  release(destroy?: boolean): void
}

/** What a relay uses of a pool of the package `pg`. It takes one connection and keeps it. */
export interface RelayPool {
  connect(): Promise<RelayConnection>
  /** Where errors of connections that nobody uses are told: without a listener they would end the process. */
  on?(event: 'error', listener: (error: Error) => void): unknown
}
