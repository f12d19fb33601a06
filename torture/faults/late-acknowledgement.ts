/** Calls of one thread are told in one line, or in two with lines of other threads between them. */
const openBegins = /openat\(AT_FDCWD, "([^"]*)"/
const openEnds = /openat(?:\(| resumed).* = (\d+)$/
const syncBegins = /f(?:data)?sync\((\d+)/
const syncFails = /f(?:data)?sync(?:\(| resumed).*\(INJECTED\)/
const syncSucceeds = /f(?:data)?sync(?:\(| resumed).* = 0$/
const noteWritten = /write\(\d+, "\{\\"kind\\":\\"(attempt|ack)\\",\\"id\\":\\"([^\\]+)\\"/

/**
 * After a sync of the log failed nobody knows what the disk holds, whatever syncs come later. So whatever is acknowledged from then on must have
 * been tried before a sync began that succeeded before: neither what the failed one was for, nor what is tried later. (A failed sync of the database itself spoils a
 * checkpoint only: the log still holds everything.)
 *
 * @param lines What strace wrote of a run whose journal it watched too.
 * @returns What was acknowledged all the same; null: nothing.
 */
export function lateAcknowledgement(lines: readonly string[]): string | null {
  const fileOf = new Map<string, string>()
  const opening = new Map<string, string>()
  /** By thread, which file it syncs and where that began. */
  const syncing = new Map<string, { readonly path: string; readonly begin: number }>()
  /** Where each was tried first. */
  const attempts = new Map<string, number>()
  const acknowledged = new Set<string>()
  let syncedFrom = -1
  let isFailed = false
  for (const [index, line] of lines.entries()) {
    const [thread = ''] = line.split(' ', 1)
    const path = openBegins.exec(line)?.[1]
    if (path !== undefined) opening.set(thread, path)
    const opened = openEnds.exec(line)?.[1]
    if (opened !== undefined) fileOf.set(opened, opening.get(thread) ?? '')
    const synced = syncBegins.exec(line)?.[1]
    if (synced !== undefined) syncing.set(thread, { path: fileOf.get(synced) ?? '', begin: index })
    const sync = syncing.get(thread)
    if (sync?.path.endsWith('-wal') === true) {
      if (syncFails.test(line)) isFailed = true
      else if (!isFailed && syncSucceeds.test(line)) syncedFrom = Math.max(syncedFrom, sync.begin)
    }
    const note = noteWritten.exec(line)
    if (note === null) continue
    const [, kind, id = ''] = note
    if (kind === 'attempt') {
      if (!attempts.has(id)) attempts.set(id, index)
    } else if (isFailed && !acknowledged.has(id) && (attempts.get(id) ?? index) > syncedFrom) {
      return `${id} was acknowledged after a sync failed, and none that succeeded before had begun after it was tried`
    } else acknowledged.add(id)
  }
  return null
}
