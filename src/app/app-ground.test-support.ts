import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { Engine, EngineEnvironment, EngineSource } from '../engine/index.ts'
import { VirtualClock } from '../kernel/index.ts'

/** Where apps of tests run: cases that take it hold on every engine that keeps what they need. */
export interface AppGround {
  /** A place where nothing is kept yet: what it opens one after the other finds what was there before. Gone after the test. */
  readonly source: () => EngineSource
  /** Opens an engine in such a place. */
  readonly open: (environment?: Partial<EngineEnvironment>) => Promise<Engine>
  /** A clock that the test moves forward, for engines and apps. Servers go by their own, which tells when events were stored. */
  readonly clock: () => VirtualClock
  /** Moves such a clock on until something holds. */
  readonly pass: (clock: VirtualClock, holds: () => Promise<boolean>) => Promise<void>
  /** How late a timer may fire by it, in milliseconds: where answers come over a network, time passes beside them. */
  readonly latenessMsMax: number
  /** How many of the runs of a property there are to be: on servers each takes its time. */
  readonly runs: (count: number) => number
}

/** The embedded engine: a file for each source, memory for what is opened but once. Call it inside a `describe`. */
export function embeddedGround(): AppGround {
  const folders: string[] = []
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
  })
  return {
    source: () => {
      const folder = mkdtempSync(join(tmpdir(), 'millrace-ground-'))
      folders.push(folder)
      return embedded({ path: join(folder, 'app.db') })
    },
    open: (environment) => embedded({ path: ':memory:' }).open(environment),
    clock: () => new VirtualClock(),
    pass: async (clock, holds) => {
      while (!(await holds())) await clock.advance('1s')
    },
    latenessMsMax: 1000,
    runs: (count) => count,
  }
}
