import { describe, expect, it } from 'vitest'
import { SeededRandom } from '../kernel/index.ts'
import { clockAhead, temporaryFolder } from './app.test-support.ts'
import { crashGrounds } from './fixtures/crash-handlers.ts'
import { killAfterLines } from './killed-process.test-support.ts'
import { checkRebuilt, rebuiltBank } from './rebuilt-bank.test-support.ts'

const killCount = 4
/** How fast builds go is the machine's affair: it may take more kills to meet two of them at work. */
const killCountMax = 24

describe.each(['one engine', 'two engines'])('views on %s that are built anew and killed on the way', (ground) => {
  it('go on where they were, and count each event once', { timeout: 240_000 }, async () => {
    const seed = 20_261_122
    const random = new SeededRandom(seed)
    using folder = temporaryFolder()
    const path = folder.path('bank.db')
    let killedBuilding = 0
    let run = 0
    while (run < killCount || (killedBuilding < 2 && run < killCountMax)) {
      run++
      const output = await killAfterLines(
        'rebuilt-app.ts',
        [path, String(run), ground],
        4 + Math.floor(random.nextFloat() * 16),
      )
      if (/building \d+\n[^\n]*$/.test(output)) killedBuilding++
    }
    const version = Math.ceil(run / 2) + 1
    const { bank, followed, inline } = rebuiltBank(version)
    await using engine = await crashGrounds[ground]?.(path).open()
    if (engine === undefined) throw new Error(`there is no ground ${ground}`)
    await using running = await bank.start({ engine, clock: clockAhead() })
    for (const one of [followed, inline]) {
      while ((await running.view(one).copies.status()).next !== null) await running.idle()
    }
    await running.idle()
    expect(await checkRebuilt(running, engine, version, `seed ${seed}`)).toBeGreaterThan(500)
    expect(killedBuilding).toBeGreaterThan(1)
    await running.stop()
    await using again = await bank.start({ engine, clock: clockAhead(200_000) })
    // Nothing is left of the copies that were given up on the way.
    while ((await engine.state.namespaces('dropped-views')).length > 0) await again.idle()
    expect((await engine.state.namespaces('view:')).length).toBeLessThanOrEqual(4)
  })
})
