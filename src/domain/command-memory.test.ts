import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { Open } from './account.test-support.ts'
import { CommandMemory } from './command-memory.ts'

const windowMs = 60_000

/** A process of its own, whose clock says what one likes. */
function memoryAt(
  engine: ConstructorParameters<typeof CommandMemory>[0],
  clock: { nowMs: () => number },
): CommandMemory {
  return new CommandMemory(engine, 'bank.accounts.account', windowMs, clock)
}

describe('the memory of commands', () => {
  const startMs = 100 * windowMs

  // Of two processes whose clocks differ by up to half a window, the second is refused wherever in the window they are.
  it.each(
    [0, 0.1, 0.49, 0.5, 0.51, 0.9, 0.999].flatMap((place) =>
      [-0.5, -0.2, 0, 0.2, 0.5].map((difference) => [place, difference] as const),
    ),
  )('lets one through, at %d of a window and with clocks %d apart', async (place, difference) => {
    await using engine = await embedded({ path: ':memory:' }).open()
    const nowMs = startMs + place * windowMs
    const first = memoryAt(engine, { nowMs: () => nowMs })
    const second = memoryAt(engine, { nowMs: () => nowMs + difference * windowMs })
    const command = Open({ id: 'a' })
    const outcome = { rejected: ['NO', 'why', null] } as const
    expect((await engine.commit({ state: first.writes(command, outcome) })).ok).toBe(true)
    const refused = await engine.commit({ state: second.writes(command, outcome) })
    expect(refused.ok).toBe(false)
    const found = refused.ok ? undefined : second.about(refused.conflict, [{ command }])
    expect(found).toEqual({ command })
    expect(await second.recall(command)).toMatchObject({ kind: 'rejected', code: 'NO', repeated: true })
    expect(await second.recall(Open({ id: 'a' }))).toBeUndefined()
  })

  it('knows long ids by their hash, and ids of two sources apart', async () => {
    await using engine = await embedded({ path: ':memory:' }).open()
    const memory = memoryAt(engine, { nowMs: () => startMs })
    const outcome = { rejected: ['NO', 'why', null] } as const
    const long = Open({ id: 'a' }, { id: 'x'.repeat(5000) })
    const foreign = Open({ id: 'a' }, { id: '1', source: 'urn:a' })
    for (const command of [long, foreign]) {
      expect((await engine.commit({ state: memory.writes(command, outcome) })).ok).toBe(true)
      expect(await memory.recall(command)).toBeDefined()
    }
    expect(await memory.recall(Open({ id: 'a' }, { id: '1', source: 'urn:b' }))).toBeUndefined()
  })
})
