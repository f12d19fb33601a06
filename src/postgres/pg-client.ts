/** One statement, as `pg` takes it. A name makes it a prepared statement of the connection. */
export interface PgQuery {
  readonly name?: string
  readonly text: string
  readonly values?: readonly unknown[]
}

export interface PgResult {
  readonly rows: readonly Record<string, unknown>[]
  readonly rowCount: number | null
}

/** What the engine uses of a connection of `pg`. */
export interface PgConnection {
  query(query: PgQuery): Promise<PgResult>
  /** Ends the connection; while a statement runs, by cutting it. */
  end(): Promise<void>
  connect(): Promise<unknown>
  on(event: 'error', listener: (error: Error) => void): unknown
  on(event: 'end', listener: () => void): unknown
  on(
    event: 'notification',
    listener: (notice: { readonly channel: string; readonly payload?: string }) => void,
  ): unknown
}

/** A connection that belongs to a pool. */
export interface PgPoolConnection extends PgConnection {
  /** Gives it back; with `true` it is ended instead. */
  release(destroy?: boolean): void
}

/** What the engine uses of a pool of `pg`. */
export interface PgPool {
  connect(): Promise<PgPoolConnection>
  end(): Promise<void>
  on(event: 'error', listener: (error: Error) => void): unknown
}

/** What the engine uses of the package `pg`, version 8. */
export interface PgModule {
  readonly Client: new (settings: Record<string, unknown>) => PgConnection
  readonly Pool: new (settings: Record<string, unknown>) => PgPool
  readonly types: {
    readonly arrayParser: {
      create(text: string, element: (text: string) => unknown): { parse(): readonly unknown[] }
    }
  }
}
