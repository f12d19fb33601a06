/** Calls of one thread are told in one line, or in two with lines of other threads between them. */
const openBegins = /openat\(AT_FDCWD, "([^"]*)"/
const openEnds = /openat(?:\(| resumed).* = (\d+)$/
const syncBegins = /f(?:data)?sync\((\d+)/
const syncEnds = /f(?:data)?sync(?:\(| resumed).*\(INJECTED\)/
const noteWritten = /write\(\d+, "\{\\"kind\\":\\"(attempt|ack)\\",\\"id\\":\\"([^\\]+)\\"/

/**
 * After a sync of the log failed nobody knows what the disk holds, so what is tried from then on must not be acknowledged. (A
 * failed sync of the database itself spoils a checkpoint only: the log still holds everything.)
 *
 * @param lines What strace wrote of a run whose journal it watched too.
 * @returns What was acknowledged all the same; null: nothing.
 */
export function lateAcknowledgement(lines: readonly string[]): string | null {
  const fileOf = new Map<string, string>()
  const opening = new Map<string, string>()
  const syncing = new Map<string, string>()
  const late = new Set<string>()
  let isFailed = false
  for (const line of lines) {
    const [thread = ''] = line.split(' ', 1)
    const path = openBegins.exec(line)?.[1]
    if (path !== undefined) opening.set(thread, path)
    const opened = openEnds.exec(line)?.[1]
    if (opened !== undefined) fileOf.set(opened, opening.get(thread) ?? '')
    const synced = syncBegins.exec(line)?.[1]
    if (synced !== undefined) syncing.set(thread, fileOf.get(synced) ?? '')
    if (syncEnds.test(line) && syncing.get(thread)?.endsWith('-wal')) isFailed = true
    const note = noteWritten.exec(line)
    if (note === null || !isFailed) continue
    const [, kind, id = ''] = note
    if (kind === 'attempt') late.add(id)
    else if (late.has(id)) return `${id} was tried after a sync failed, and acknowledged`
  }
  return null
}
