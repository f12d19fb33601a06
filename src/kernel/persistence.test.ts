import { describe, expect, it } from 'vitest'
import { VirtualClock } from './clock.ts'
import { persist } from './persistence.ts'

describe('work that is persisted in', () => {
  it('pauses twice as long after each error, and from the beginning once it got somewhere', async () => {
    const clock = new VirtualClock()
    const end = new AbortController()
    const pauses: number[] = []
    let turns = 0
    const done = persist(
      async (onProgress) => {
        turns++
        if (turns === 9) onProgress()
        if (turns === 11) return end.abort()
        throw new TypeError('no')
      },
      { clock, signal: end.signal, onFailed: (_, pauseMs) => pauses.push(pauseMs) },
    )
    while (!end.signal.aborted) await clock.advance(50)
    await done
    expect(pauses).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 10_000, 100, 200])
  })

  it('ends with what its listener throws, and quietly when it is told to', async () => {
    const clock = new VirtualClock()
    const end = new AbortController()
    const fail = async (): Promise<never> => Promise.reject(new TypeError('no'))
    const failing = persist(fail, {
      clock,
      signal: end.signal,
      onFailed: (error) => {
        throw error
      },
    })
    await expect(failing).rejects.toThrow('no')
    const heard: unknown[] = []
    const ended = persist(
      async () => {
        end.abort()
        throw new TypeError('too late')
      },
      { clock, signal: end.signal, onFailed: (error) => heard.push(error) },
    )
    await ended
    expect(heard).toEqual([])
  })
})
