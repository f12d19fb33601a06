import { describe, expect, it } from 'vitest'
import { CompactionSchedule, compactionWaitMsMax } from './compaction-schedule.ts'

const minuteMs = 60_000
const hourMs = 60 * minuteMs

/** Asks for one partition that was compacted at time 0 to 1,000 bytes. */
function compacted(oldestTombstoneMs?: number): (nowMs: number, waitingBytes?: number) => boolean {
  const schedule = new CompactionSchedule()
  schedule.note(1, 0, { end: 10, bytes: 1_000, oldestTombstoneMs })
  return (nowMs, waitingBytes = 0) =>
    schedule.isDue({ partitionId: 1, waitingBytes, tombstoneRetentionMs: 24 * hourMs, nowMs })
}

describe('compaction is due', () => {
  it('of a partition of which nothing is known, if anything waits', () => {
    const schedule = new CompactionSchedule()
    const question = { partitionId: 1, tombstoneRetentionMs: 0, nowMs: 0 }
    expect(schedule.isDue({ ...question, waitingBytes: 1 })).toBe(true)
    expect(schedule.isDue({ ...question, waitingBytes: 0 })).toBe(false)
    expect(schedule.isUseful({ ...question, waitingBytes: 0 })).toBe(false)
    expect(schedule.endOf(1)).toBe(0)
  })

  it('when as much waits as the last one left', () => {
    const isDue = compacted()
    expect(isDue(minuteMs)).toBe(false)
    expect(isDue(minuteMs, 999)).toBe(false)
    expect(isDue(minuteMs, 1_000)).toBe(true)
  })

  it('when anything was left waiting for a day since it was seen', () => {
    const isDue = compacted()
    expect(isDue(hourMs, 1)).toBe(false)
    expect(isDue(hourMs + compactionWaitMsMax - 1, 1)).toBe(false)
    expect(isDue(hourMs + compactionWaitMsMax, 1)).toBe(true)
    // What waited is gone by retention: what comes then begins anew.
    const again = compacted()
    again(hourMs, 1)
    again(2 * hourMs)
    expect(again(hourMs + compactionWaitMsMax, 1)).toBe(false)
  })

  it('when it waited for a day, also if the clock was put back', () => {
    const isDue = compacted()
    isDue(1_000 * hourMs, 1)
    isDue(hourMs, 1)
    expect(isDue(hourMs + compactionWaitMsMax, 1)).toBe(true)
  })

  it('when the time of the oldest tombstone is over, and not before', () => {
    const isDue = compacted(-hourMs)
    expect(isDue(23 * hourMs)).toBe(false)
    expect(isDue(23 * hourMs + 1)).toBe(true)
  })

  it('for tombstones that follow each other twice in their time at most', () => {
    const isDue = compacted(-24 * hourMs)
    expect(isDue(minuteMs)).toBe(false)
    expect(isDue(12 * hourMs)).toBe(true)
  })

  it('no more of a partition that was forgotten', () => {
    const schedule = new CompactionSchedule()
    for (const id of [1, 2]) schedule.note(id, 0, { end: 10, bytes: 1_000, oldestTombstoneMs: undefined })
    schedule.keepOnly(new Set([2]))
    expect([schedule.endOf(1), schedule.endOf(2)]).toEqual([0, 10])
  })
})
