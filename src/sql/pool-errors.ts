/** A pool of connections, as far as it tells of errors. */
interface TellingPool {
  on?(event: 'error', listener: (error: Error) => void): unknown
}

const listenedTo = new WeakSet<TellingPool>()

/**
 * Listens to the errors of a pool, once, whoever else does: a connection that is cut while nobody uses it is left by its pool, and
 * would end the process if nobody listened. Who needs a connection gets another one, or an error of its own.
 */
export function listenToPool(pool: TellingPool): void {
  if (typeof pool.on !== 'function' || listenedTo.has(pool)) return
  listenedTo.add(pool)
  pool.on('error', () => undefined)
}
