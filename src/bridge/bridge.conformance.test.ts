import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { conformanceCases, type Ground, runCase, verdictOf } from '../engine/conformance/index.ts'
import { SeededRandom, VirtualClock } from '../kernel/index.ts'
import { deployment } from './index.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-bridge-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

function groundOn(topics: string, store: string): Ground & { readonly clock: VirtualClock } {
  const clock = new VirtualClock()
  const random = new SeededRandom(1)
  const parts = { topics: embedded({ path: topics }), store: embedded({ path: store }) }
  return { clock, open: () => deployment(parts).open({ clock, random }) }
}

let count = 0

function inMemory(): Ground {
  return groundOn(':memory:', ':memory:')
}

function inFiles(): Ground {
  const path = join(directory, String(count++))
  return groundOn(`${path}.topics.db`, `${path}.store.db`)
}

async function offerOf(ground: Ground): Promise<Parameters<typeof verdictOf>[1]> {
  await using engine = await ground.open()
  return { capabilities: engine.capabilities, movesTime: true }
}

// Files only where something has to outlive the engine: two of them for each case take their time.
describe('two embedded engines as one', async () => {
  const memory = await offerOf(inMemory())
  const files = await offerOf(inFiles())
  for (const one of conformanceCases) {
    const needsFiles = verdictOf(one, memory) !== true
    const verdict = verdictOf(one, files)
    it(`${one.name}`, async (context) => {
      if (verdict !== true) context.skip(verdict)
      await runCase(one, needsFiles ? inFiles() : inMemory())
    }, 20_000)
  }
})
