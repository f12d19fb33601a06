import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { conformanceCases, type Ground, runCase, verdictOf } from '../engine/conformance/index.ts'
import type { Engine } from '../engine/index.ts'
import { SeededRandom, VirtualClock } from '../kernel/index.ts'
import { embedded } from './index.ts'

const directory = mkdtempSync(join(tmpdir(), 'millrace-conformance-'))
afterAll(() => rmSync(directory, { recursive: true, force: true }))

/** To repeat a case that chose at random and failed: its error names the seed. */
const seed = process.env['MILLRACE_CONFORMANCE_SEED']

/** A ground on this path. All engines opened on it live by one clock, so that time goes on over a restart. */
function groundOn(path: string): Ground & { readonly clock: VirtualClock } {
  const clock = new VirtualClock()
  const random = new SeededRandom(1)
  const chosen = seed === undefined ? {} : { seed: Number(seed) }
  return { clock, ...chosen, open: () => embedded({ path }).open({ clock, random }) }
}

/** A ground whose engine stays open from case to case, until a case closes it. */
function lastingGroundOn(path: string): Ground {
  const ground = groundOn(path)
  let kept: Engine | undefined
  return {
    ...ground,
    open: async () => {
      const isOpen = await kept?.timers.nextDueMs('anybody').then(
        () => true,
        () => false,
      )
      if (isOpen === true && kept !== undefined) return kept
      // A case that failed may have left it closing.
      await kept?.close()
      kept = await ground.open()
      return kept
    },
    release: async () => {},
  }
}

// In memory each case starts from nothing. In the file they all share what the others left behind: a case that only
// passes in an empty store, or an engine that only works in one, is found out.
const filePath = join(directory, 'all-cases.db')
const oneFile = lastingGroundOn(filePath)
const grounds: Readonly<Record<string, () => Ground>> = {
  'the embedded engine in memory': () => groundOn(':memory:'),
  'the embedded engine in a file': () => oneFile,
}

describe.each(Object.entries(grounds))('%s', async (_name, groundFor) => {
  const engine = await groundFor().open()
  const offer = { capabilities: engine.capabilities, movesTime: true }
  await engine.close()
  for (const one of conformanceCases) {
    const { name } = one
    const verdict = verdictOf(one, offer)
    it(`${name}`, async (context) => {
      if (verdict !== true) context.skip(verdict)
      await runCase(one, groundFor())
    }, 20_000)
  }
})

describe('the file that all cases wrote to', () => {
  it('is whole', async () => {
    await (await oneFile.open()).close()
    await using engine = await embedded({ path: filePath }).open()
    expect((await engine.verify()).damages).toEqual([])
  })
})

describe('the conformance suite', () => {
  it('has cases of unique names', () => {
    const names = conformanceCases.map(({ name }) => name)
    expect(names.length).toBe(new Set(names).size)
    expect(names.length).toBeGreaterThan(120)
  })
})
