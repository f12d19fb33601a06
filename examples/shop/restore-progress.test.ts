import { describe, expect, it } from 'vitest'
import { channels, VirtualClock } from '../../src/index.ts'
import { showRestoring } from './restore-progress.ts'

describe('the progress of reading state', () => {
  it('is told when it takes more than a moment, and now and then', async () => {
    const clock = new VirtualClock(0)
    const lines: string[] = []
    const told = (position: number): void =>
      channels.stateRestored.publish({ topic: 'shop.state', partition: 0, position, end: 1000 })
    {
      using _shown = showRestoring({ write: (line: string) => lines.push(line) > 0 }, clock)
      told(10)
      await clock.advance(600)
      told(250)
      told(300)
      await clock.advance(600)
      told(1001)
    }
    await clock.advance(600)
    told(5)
    expect(lines).toEqual([
      'State is read from topic shop.state, partition 0: 25 %.\n',
      'State is read from topic shop.state, partition 0: 100 %.\n',
    ])
  })
})
