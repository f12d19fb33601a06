/** Calls of one thread are told in one line, or in two with lines of other threads between them. */
const begins = /^(\d+) +pwrite64\(.*, (\d+), \d+(?:\)| <unfinished)/
const ends = /^(\d+) +(?:pwrite64\(|<\.\.\. pwrite64 resumed>).* = (-?\d+)(?: (\w+))?/

/** What became of the writes of a run. */
export interface CutWrites {
  /** Part of it was written. */
  readonly cut: number
  /** Nothing was, as there was no room for it. */
  readonly refused: number
}

/** Counts the writes that were cut short, and those that were refused for want of room, in what strace wrote of a run. */
export function cutWrites(lines: readonly string[]): CutWrites {
  const asked = new Map<string, number>()
  let [cut, refused] = [0, 0]
  for (const line of lines) {
    const begin = begins.exec(line)
    if (begin !== null) asked.set(begin[1] as string, Number(begin[2]))
    const end = ends.exec(line)
    if (end === null) continue
    const [, thread = '', answer = '', error] = end
    const wanted = asked.get(thread)
    if (error === 'ENOSPC' || error === 'EFBIG') refused++
    else if (wanted !== undefined && Number(answer) >= 0 && Number(answer) < wanted) cut++
  }
  return { cut, refused }
}
