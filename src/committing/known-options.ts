type Call = 'readStream' | 'readAll' | 'subscribe' | 'listStreams' | 'deleteStream' | 'timers' | 'range' | 'watch'

/** Options of calls, by which one that is misspelt is found: the call would do something else than was meant. */
export const knownOptions: Readonly<Record<Call, readonly string[]>> = {
  readStream: ['fromVersion', 'fromTimeMs', 'direction', 'query', 'limit', 'signal'],
  readAll: ['fromPosition', 'fromTimeMs', 'direction', 'query', 'limit', 'signal'],
  subscribe: ['after', 'query', 'signal'],
  listStreams: ['prefix', 'after', 'limit'],
  deleteStream: ['tombstone'],
  timers: ['owner', 'limit'],
  range: ['prefix', 'from', 'to', 'after', 'reverse', 'limit'],
  watch: ['key', 'prefix', 'owner', 'signal'],
}
