import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { deployment } from '../bridge/index.ts'
import { embedded } from '../embedded/index.ts'
import type { EngineSource } from '../engine/index.ts'
import { checkLoad, commandLoad, inlineBank, plainBank } from './command-load.test-support.ts'
import type { App } from './index.ts'

const memory = (): EngineSource => embedded({ path: ':memory:' })
const two = (): EngineSource => deployment({ topics: memory(), store: memory() })
const grounds: readonly (readonly [string, App, () => EngineSource, number])[] = [
  ['one engine', plainBank, memory, 10],
  ['one engine, with an inline view', inlineBank, memory, 6],
  ['two engines', plainBank, two, 3],
  ['two engines, with an inline view', inlineBank, two, 3],
]

describe.each(grounds)('any commands on %s', (_name, bank, source, runCount) => {
  it('overdraw nothing, take effect once each, and all views agree', async () => {
    await fc.assert(
      fc.asyncProperty(fc.nat(), fc.integer({ min: 1, max: 6 }), async (seed, accounts) => {
        await using engine = await source().open()
        await using first = await bank.start({ engine })
        await using second = await bank.start({ engine })
        const acceptedIds = await commandLoad([first, second], seed, { accounts, commands: 120 })
        await checkLoad(first, engine, { acceptedIds, bank, note: `seed ${seed}` })
        expect(acceptedIds.size).toBeGreaterThan(0)
      }),
      { numRuns: runCount },
    )
  })
})
