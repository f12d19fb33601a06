/** Calls of one thread are told in one line, or in two with lines of other threads between them. */
const openBegins = /openat\(AT_FDCWD, "([^"]*)"/
const openEnds = /openat(?:\(| resumed).* = (\d+)$/
const syncBegins = /f(?:data)?sync\((\d+)/
const syncFails = /f(?:data)?sync(?:\(| resumed).*\(INJECTED\)/
const syncSucceeds = /f(?:data)?sync(?:\(| resumed).* = 0$/
const noteWritten = /write\(\d+, "\{\\"kind\\":\\"(attempt|ack)\\",\\"id\\":\\"([^\\]+)\\"/
const logWritten = /pwrite64\((\d+), "(.*)"(?:\.\.\.)?, \d+, \d+/

/** Where in the lines something was tried first, and where it was written to the log first. */
interface Course {
  readonly tried: number
  written: number | undefined
}

/**
 * After a sync of the log failed nobody knows what the disk holds, whatever syncs come later. So whatever is acknowledged from then on must have
 * been written before a sync began that succeeded before: neither what the failed one was for, nor what is written later. (A failed sync of the
 * database itself spoils a checkpoint only: the log still holds everything.)
 *
 * What is written is known by its id, which stands in the page that is written for it. One whose id the end of a page has cut in two is
 * held to when it was tried, which was before.
 *
 * @param lines What strace wrote of a run whose journal it watched too, with all data.
 * @returns What was acknowledged all the same; null: nothing.
 */
export function lateAcknowledgement(lines: readonly string[]): string | null {
  const fileOf = new Map<string, string>()
  const opening = new Map<string, string>()
  /** By thread, which file it syncs and where that began. */
  const syncing = new Map<string, { readonly path: string; readonly begin: number }>()
  const courses = new Map<string, Course>()
  const acknowledged = new Set<string>()
  const isLog = (path: string | undefined): boolean => path?.endsWith('-wal') === true
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
    if (sync !== undefined && isLog(sync.path)) {
      if (syncFails.test(line)) isFailed = true
      else if (!isFailed && syncSucceeds.test(line)) syncedFrom = Math.max(syncedFrom, sync.begin)
    }
    const [, file = '', data = ''] = logWritten.exec(line) ?? []
    if (isLog(fileOf.get(file))) noteWrites(data, index, courses)
    const note = noteWritten.exec(line)
    if (note === null) continue
    const [, kind, id = ''] = note
    if (kind === 'attempt') {
      if (!courses.has(id)) courses.set(id, { tried: index, written: undefined })
      continue
    }
    const { tried, written } = courses.get(id) ?? { tried: index, written: undefined }
    if (isFailed && !acknowledged.has(id) && (written ?? tried) > syncedFrom) {
      return `${id} was acknowledged after a sync failed, and none that succeeded before had begun after it was ${written === undefined ? 'tried' : 'written'}`
    }
    acknowledged.add(id)
  }
  return null
}

function noteWrites(data: string, index: number, courses: ReadonlyMap<string, Course>): void {
  for (const [id, course] of courses) {
    if (course.written === undefined && holds(data, id)) course.written = index
  }
}

/** Whether an id stands there, and not a longer one that begins with it. */
function holds(data: string, id: string): boolean {
  for (let at = data.indexOf(id); at >= 0; at = data.indexOf(id, at + 1)) {
    if (!/[\w/]/.test(data[at + id.length] ?? '')) return true
  }
  return false
}
