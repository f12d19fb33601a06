import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, describe, expect, it } from 'vitest'
import { operations } from '../engine/conformance/arbitrary-operations.ts'
import { type Ground, ModelRun } from '../engine/conformance/index.ts'
import { SeededRandom, VirtualClock } from '../kernel/index.ts'
import { embedded } from './index.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-model-'))
afterAll(async () => {
  // A run that the time limit cut off goes on for a while.
  await lastRun.catch(() => undefined)
  rmSync(directory, { recursive: true, force: true })
})

let lastRun: Promise<unknown> = Promise.resolve()

function groundOn(path: string): Ground {
  const clock = new VirtualClock()
  const random = new SeededRandom(1)
  return { clock, open: () => embedded({ path }).open({ clock, random }) }
}

async function damagesOf(path: string): Promise<unknown> {
  await using engine = await embedded({ path }).open()
  return (await engine.verify()).damages
}

const totals = { committed: 0, refused: 0, repeated: 0 }

function count({ model }: ModelRun): void {
  for (const key of ['committed', 'refused', 'repeated'] as const) totals[key] += model.counts[key]
}

// A slow machine does fewer runs instead of taking longer; a failing run is never cut short.
const limits = { interruptAfterTimeLimit: 12_000, markInterruptAsFailure: false } as const

describe('the embedded engine and the model', () => {
  it('agree in memory, whatever is done', async () => {
    // In memory nothing outlives a close, so there the engine is never reopened.
    const inMemory = operations.map((all) => all.filter(({ kind }) => kind !== 'reopen'))
    const property = fc.asyncProperty(inMemory, async (all) => count(await ModelRun.run(groundOn(':memory:'), all)))
    await fc.assert(property, { numRuns: 150, ...limits })
  }, 240_000)

  it('agree in a file that is closed and opened in between, and the file is whole at the end', async () => {
    let run = 0
    const property = fc.asyncProperty(operations, async (all) => {
      const path = join(directory, `run-${run++}.db`)
      const running = ModelRun.run(groundOn(path), all)
      lastRun = running.then(() => damagesOf(path))
      count(await running)
      expect(await lastRun).toEqual([])
    })
    await fc.assert(property, { numRuns: 40, ...limits })
  }, 240_000)

  it('met all that can happen to a commit', () => {
    expect(totals.committed).toBeGreaterThan(300)
    expect(totals.refused).toBeGreaterThan(100)
    expect(totals.repeated).toBeGreaterThan(20)
  })
})
