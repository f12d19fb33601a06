import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../kernel/index.ts'
import { temporaryFolder } from './app.test-support.ts'
import { checkLoad, inlineBank } from './command-load.test-support.ts'
import { crashGrounds } from './fixtures/crash-handlers.ts'
import { killAfterLines } from './killed-process.test-support.ts'

const killCount = 4

describe.each(['one engine', 'two engines'])('a bank on %s that is killed again and again', (ground) => {
  it('keeps what it acknowledged, and no command takes effect twice', async () => {
    const seed = 20_260_201
    const random = new SeededRandom(seed)
    using folder = temporaryFolder()
    const path = folder.path('bank.db')
    const acknowledged = new Set<string>()
    for (let run = 1; run <= killCount; run++) {
      const output = await killAfterLines(
        'command-app.ts',
        [path, String(run), ground],
        30 + Math.floor(random.nextFloat() * 200),
      )
      for (const [, id] of output.matchAll(/^(?:accepted|sent) (\S+)$/gm)) acknowledged.add(id as string)
      expect(output).not.toMatch(/^rejected/m)
    }
    await using engine = await crashGrounds[ground]?.(path).open()
    if (engine === undefined) throw new Error(`there is no ground ${ground}`)
    await using running = await inlineBank.start({ engine })
    await running.idle()
    await checkLoad(running, engine, { acceptedIds: acknowledged, bank: inlineBank, note: `seed ${seed}` })
    expect(acknowledged.size).toBeGreaterThan(100)
  })
})
