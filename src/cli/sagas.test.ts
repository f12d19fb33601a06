import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type App, app } from '../app/index.ts'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { fixed, none } from '../runtime/index.ts'
import { saga, step } from '../saga/index.ts'
import { cli, sharedFile, testFile } from './cli.test-support.ts'

const input = z.object({ n: z.number() })

/** Instance `good` completes; `slow` waits for the next attempt at a step; `odd` is parked, as its program has changed. */
function shop(log: string[], isChanged = false): App {
  const charge = step({
    run: ({ n }: { n: number }) => {
      if (n === 2) throw new RangeError('gateway down')
      log.push(`charge ${n}`)
      return { receipt: n }
    },
    undo: ({ output }) => void log.push(`refund ${JSON.stringify(output)}`),
    retry: fixed({ delay: '1d', max: 9 }),
  })
  const look = step({ run: () => 'looked', retry: none })
  const checkout = saga(
    'checkout',
    { start: input, steps: { charge, look }, signals: { go: z.null() } },
    async (scope, given) => {
      if (isChanged) await scope.step('look')
      const { receipt } = await scope.step('charge', given)
      if (given.n === 3) await scope.signal('go')
      return receipt
    },
  )
  const other = saga('other', { start: input }, (_scope, { n }) => n)
  return app('shop', { sagas: [checkout, other] })
}

async function fill(engine: Engine): Promise<void> {
  for (const isChanged of [false, true]) {
    const declared = shop([], isChanged)
    const [checkout, other] = declared.sagas
    const running = await declared.start({ engine })
    if (checkout === undefined || other === undefined) return
    if (isChanged) await running.saga(checkout).signal('odd', 'go', null)
    else {
      await Promise.all(
        ['good', 'slow', 'odd'].map((key, index) => running.saga(checkout).start(key, { n: index + 1 })),
      )
      await running.saga(other).start('good', { n: 9 })
    }
    await running.idle()
    await running.stop()
  }
}

describe('reading sagas', () => {
  const shared = sharedFile(fill)
  const run = (...args: string[]) => cli(['sagas', ...args, '--file', shared().path], { cwd: shared().cwd })
  const keys = async (...args: string[]): Promise<string[]> =>
    (JSON.parse((await run('ls', '--json', ...args)).stdout) as { saga: string; key: string }[]).map(
      (one) => `${one.saga} ${one.key}`,
    )

  it('shows what happened, and how one was', async () => {
    const { stdout } = await run('show', 'good', '--saga', 'checkout', '--past')
    const happened = stdout.slice(stdout.indexOf('TIME')).trimEnd().split('\n').slice(1)
    const line = (what: string): unknown => expect.stringMatching(new RegExp(`^\\S+ +${what} +-$`))
    expect(happened).toEqual(
      ['started +-', 'asked +charge', 'outcome: done +charge', 'completed +-'].map((what) => line(what)),
    )
    const slow = await run('show', 'slow', '--past', '--json')
    const { happenings, startedMs } = JSON.parse(slow.stdout) as { happenings: { what: string }[]; startedMs: number }
    expect(happenings.map(({ what }) => what)).toEqual(['started', 'asked'])
    const then = await run('show', 'odd', '--at-time', String(startedMs + 86_400_000), '--json')
    expect(JSON.parse(then.stdout)).toMatchObject({ key: 'odd', status: 'parked' })
    const early = await run('show', 'odd', '--at-time', '2001-01-01')
    expect([early.exitCode, early.stderr]).toEqual([3, expect.stringContaining('It was started at')])
    expect((await run('show', 'odd', '--at-time', 'noon')).exitCode).toBe(2)
  })

  it('lists them', async () => {
    const { stdout } = await run('ls')
    expect(stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^SAGA +KEY +STATUS +STARTED +LAST +PROBLEM$/),
      expect.stringMatching(/^shop\.checkout +good +completed .* charge done +-$/),
      expect.stringMatching(/^shop\.checkout +odd +parked .* signal:go#1 waiting +The journal has charge next/),
      expect.stringMatching(/^shop\.checkout +slow +running .* charge retrying +gateway down$/),
      expect.stringMatching(/^shop\.other +good +completed /),
    ])
    expect(await keys('--status', 'parked', '--status', 'running')).toEqual(['checkout odd', 'checkout slow'])
    expect(await keys('--saga', 'other', '--app', 'shop')).toEqual(['other good'])
    expect(await keys('--prefix', 'g')).toEqual(['checkout good', 'other good'])
    expect(await keys('--older', '1h')).toEqual([])
    expect(await keys('--younger', '1h', '--limit', '1')).toEqual(['checkout good'])
    expect((await run('ls', '--limit', '2')).stderr).toBe('There are more: --saga and --after "odd" show the next.\n')
    expect((await run('ls', '--status', 'lost')).exitCode).toBe(2)
  })

  it('shows one, also as a diagram', async () => {
    const { stdout } = await run('show', 'slow')
    expect(stdout).toMatch(/^status +running$/m)
    expect(stdout).toMatch(/^charge +retrying +1 +\d{4}-.* RangeError: gateway down$/m)
    expect((await run('show', 'odd')).stdout).toMatch(/^parked +The journal has charge next.*Then retry\.$/m)
    expect((await run('show', 'odd', '--mermaid')).stdout).toContain('a0["charge: done"]')
    expect(JSON.parse((await run('show', 'good', '--saga', 'checkout', '--json')).stdout)).toMatchObject({ result: 1 })
    expect((await run('show', 'good')).stderr).toContain('Several sagas have key "good": shop.checkout, shop.other')
    expect((await run('show', 'nobody')).exitCode).toBe(3)
  })
})

describe('changing sagas', () => {
  it('is asked for on the stopped file, and done by the app', async () => {
    const { cwd, path } = await testFile(fill)
    const run = (...args: string[]) => cli(['sagas', ...args, '--file', path], { cwd })
    expect((await run('skip', 'slow', 'charge')).exitCode).toBe(6)
    const refused = await run('skip', 'slow', 'lost', '--yes')
    expect([refused.exitCode, refused.stderr]).toEqual([6, expect.stringContaining('SAGA_SKIP_REFUSED')])
    expect((await run('skip', 'good', 'charge', '--saga', 'checkout', '--yes')).stderr).toContain(
      'it has ended: completed',
    )
    const skipped = await run('skip', 'slow', 'charge', '--output', '{"receipt":77}', '--yes')
    expect(skipped.stderr).toBe('Asked to skip charge of slow of saga shop.checkout; the app does it when it starts.\n')
    expect((await run('retry', 'odd')).exitCode).toBe(0)
    expect((await run('compensate', 'good', '--saga', 'checkout', '--reason', 'wrong', '--yes')).exitCode).toBe(0)
    expect((await run('skip', 'slow', 'charge', '--output', '{')).exitCode).toBe(2)
    const log: string[] = []
    {
      await using running = await shop(log).start({ engine: embedded({ path }) })
      await running.idle()
    }
    expect(log).toEqual(['refund {"receipt":1}'])
    const { stdout } = await run('ls', '--saga', 'checkout', '--json')
    expect(JSON.parse(stdout)).toMatchObject([
      { key: 'good', status: 'compensated', failure: { message: 'wrong' } },
      { key: 'odd', status: 'completed', result: 3 },
      { key: 'slow', status: 'completed', result: 77 },
    ])
  })
})
