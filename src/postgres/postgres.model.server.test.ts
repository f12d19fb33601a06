import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { operations } from '../engine/conformance/arbitrary-operations.ts'
import { ModelRun } from '../engine/conformance/index.ts'
import { postgres } from './index.ts'
import { dropSchema, serversWanted, serverUrl } from './real-server.test-support.ts'

// A slow machine does fewer runs instead of taking longer; a failing run is never cut short.
const limits = { interruptAfterTimeLimit: 20_000, markInterruptAsFailure: false } as const

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('the PostgreSQL engine and the model', () => {
  let url = ''
  let lastRun: Promise<unknown> = Promise.resolve()
  beforeAll(async () => {
    url = await serverUrl()
  }, 600_000)
  // A run that the time limit cut off goes on for a while.
  afterAll(async () => {
    await lastRun.catch(() => undefined)
  })

  it('agree, whatever is done, also when the engine is closed and opened in between', async () => {
    const totals = { committed: 0, refused: 0, repeated: 0 }
    let count = 0
    // Time, which maintenance goes by, is the server's own.
    const withoutTime = operations.map((all) => all.filter(({ kind }) => kind !== 'maintain'))
    const property = fc.asyncProperty(withoutTime, async (all) => {
      const schema = `model_${process.pid}_${count++}`
      const running = ModelRun.run({ open: () => postgres({ connection: url, schema, pollMs: 20 }).open() }, all)
      const dropping = (): Promise<void> => dropSchema(url, schema)
      lastRun = running.then(dropping, dropping)
      const { model } = await running
      for (const key of ['committed', 'refused', 'repeated'] as const) totals[key] += model.counts[key]
      await lastRun
    })
    await fc.assert(property, { numRuns: 60, ...limits })
    // A run that only ever succeeds, or never does, proves little.
    expect(Math.min(totals.committed, totals.refused, totals.repeated)).toBeGreaterThan(0)
  }, 240_000)
})
