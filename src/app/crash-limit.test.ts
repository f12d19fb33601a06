import { spawnSync } from 'node:child_process'
import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { messagesOf, temporaryFolder } from './app.test-support.ts'
import { embeddedGround } from './app-ground.test-support.ts'
import { testCrashLimit, testCrashLimitOfTimers } from './crash-limit-cases.test-support.ts'

describe('on the embedded engine', () => {
  const ground = embeddedGround()
  testCrashLimit(ground)
  testCrashLimitOfTimers(ground)
})

describe('a process that a message ends', () => {
  it('goes on without it after some starts', async () => {
    using folder = temporaryFolder()
    const path = folder.path('crash.db')
    const program = new URL('./fixtures/crash-limit-app.ts', import.meta.url).pathname
    const ends: (number | null)[] = []
    do {
      const { status } = spawnSync(process.execPath, [program, path, String(ends.length)], { stdio: 'ignore' })
      ends.push(status)
    } while (ends.at(-1) !== 0 && ends.length < 10)
    // Node ends with 1 over what nobody catches.
    expect(ends).toEqual([1, 1, 1, 1, 1, 1, 1, 0])
    await using engine = await embedded({ path }).open()
    expect(await engine.state.range('dead-letters:test')).toMatchObject([
      { value: { key: 'k', error: { code: 'PROCESS_ENDED' } } },
    ])
    expect((await messagesOf(engine, 'payments')).map(({ data }) => data.n)).toEqual([0, 1, 2, 3, 4, 6, 7, 8, 9])
  })
})
