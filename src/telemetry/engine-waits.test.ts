import { afterEach, describe, expect, it } from 'vitest'
import { VirtualClock } from '../kernel/index.ts'
import { channels, type EngineWaitingReport } from './channels.ts'
import { EngineWaits } from './engine-waits.ts'

describe('an engine that waits', () => {
  const reports: EngineWaitingReport[] = []
  const listen = (report: EngineWaitingReport): void => void reports.push(report)
  afterEach(() => {
    channels.engineWaiting.unsubscribe(listen)
    reports.length = 0
  })

  it('tells so once it lasts, and then every ten seconds, however many wait', async () => {
    const clock = new VirtualClock()
    const waits = new EngineWaits('kafka', clock)
    const error = new Error('gone')
    channels.engineWaiting.subscribe(listen)
    waits.note(error, 2999)
    expect(reports).toEqual([])
    for (let second = 0; second < 25; second++) {
      for (let caller = 0; caller < 3; caller++) waits.note(error, 3000 + second * 1000)
      await clock.advance('1s')
    }
    expect(reports).toEqual([3000, 13_000, 23_000].map((waitedMs) => ({ engine: 'kafka', error, waitedMs })))
  })
})
