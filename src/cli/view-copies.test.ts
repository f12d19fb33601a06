import { copyFileSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { clockAhead } from '../app/app.test-support.ts'
import { app, service } from '../app/index.ts'
import { accountDecider, CarriedForward, Deposit, inlineBalances, Open } from '../domain/account.test-support.ts'
import { type View, view } from '../domain/index.ts'
import { embedded } from '../embedded/index.ts'
import { type Clock, systemClock } from '../kernel/index.ts'
import { cli, OrderPlaced, testFolder } from './cli.test-support.ts'

/** Counts orders by their last digit; version 2 counts double. */
function counts(version: number): View<number> {
  return view('counts', {
    events: [OrderPlaced],
    key: ({ data }) => data.id.slice(-1),
    initial: 0,
    on: { OrderPlaced: (n) => n + version },
    version,
    rebuild: 'manual',
  })
}

async function startOn(path: string, version: number, clock: Clock = systemClock): Promise<void> {
  await using running = await app('shop', { views: [counts(version)] }).start({ engine: embedded({ path }), clock })
  do await running.idle()
  while (clock !== systemClock && (await running.engine.state.namespaces('dropped-views')).length > 0)
}

async function publishOn(path: string, ids: readonly string[]): Promise<void> {
  await using running = await app('shop', { views: [counts(1)] }).start({ engine: embedded({ path }) })
  await running.publish(ids.map((id) => OrderPlaced({ id })))
  await running.idle()
}

const originals = mkdtempSync(join(tmpdir(), 'millrace-view-copies-'))
afterAll(() => rmSync(originals, { recursive: true, force: true }))
/** Files by the number of events that they have behind what the second version has seen: made once, and copied for each test. */
const madeFiles = new Map<number, Promise<string>>()

async function madeFile(unseenCount: number): Promise<string> {
  const path = join(originals, `${unseenCount}.db`)
  await publishOn(
    path,
    Array.from({ length: 30 }, (_, n) => String(n)),
  )
  await startOn(path, 2)
  if (unseenCount > 0) await publishOn(path, Array<string>(unseenCount).fill('7'))
  return path
}

/** A file with a version that is live, and one that is built beside it, but for some events. */
async function ground(unseenCount = 0): Promise<{
  readonly run: (...args: string[]) => Promise<{ exitCode: number; stdout: string; stderr: string }>
  readonly groups: (...args: string[]) => Promise<{ exitCode: number; stdout: string; stderr: string }>
  readonly path: string
  readonly start: (version: number, clock?: Clock) => Promise<void>
}> {
  const made = madeFiles.get(unseenCount) ?? madeFile(unseenCount)
  madeFiles.set(unseenCount, made)
  const cwd = testFolder()
  const path = join(cwd, 'test.db')
  copyFileSync(await made, path)
  const file = ['--file', path]
  return {
    run: (...args) => cli(['views', ...args, ...file], { cwd }),
    groups: (...args) => cli(['groups', ...args, ...file], { cwd }),
    path,
    start: (version, clock) => startOn(path, version, clock),
  }
}

const rows = (stdout: string): string[][] =>
  stdout
    .trimEnd()
    .split('\n')
    .slice(1)
    .map((row) => row.split(/ {2,}/).map((cell) => cell.trim()))

describe('millrace views, of their copies', () => {
  it('shows how far they are, and which one serves reads', async () => {
    const { run } = await ground(2)
    expect(rows((await run('ls')).stdout)).toEqual([
      ['counts', 'shop', 'v1', 'live', '10'],
      ['counts', 'shop', 'v2', 'next', '10'],
    ])
    expect(rows((await run('status', 'counts')).stdout)).toEqual([
      ['v1', 'live', '32', '32', '0', '0', 'serves reads'],
      ['v2', 'next', '30', '32', '2', '0', 'built when the app runs, swap by hand'],
    ])
    const json = JSON.parse((await run('status', 'shop.counts', '--json')).stdout) as object
    expect(json).toMatchObject({
      live: { copy: 'v1' },
      previous: null,
      next: { copy: 'v2', eventsBehind: 2 },
      canary: 0,
    })
  })

  it('does not let their progress be moved without their state', async () => {
    const { run, groups } = await ground()
    for (const args of [
      ['reset', 'shop.view:counts.v1', '--to', 'earliest', '--yes'],
      ['delete', 'shop.view:counts.v2', '--yes'],
    ]) {
      const { exitCode, stderr } = await groups(...args)
      expect(stderr).toContain('CLI_VIEW_GROUP')
      expect(stderr).toContain('millrace views rebuild shop.counts')
      expect(exitCode).toBe(6)
    }
    expect(rows((await run('status', 'counts')).stdout).map((row) => row[2])).toEqual(['30', '30'])
  })

  it('compares them', async () => {
    const { run } = await ground()
    const { stdout, stderr } = await run('diff', 'counts', '--limit', '2')
    expect(rows(stdout)).toEqual([
      ['0', '3', '6'],
      ['1', '3', '6'],
    ])
    expect(stderr).toContain('0 keys are the same, 10 differ, 0 only in v1, 0 only in v2.')
    const json = JSON.parse((await run('diff', 'counts', '--limit', '1', '--json')).stdout) as object
    expect(json).toMatchObject({ differingCount: 10, first: [{ key: '0', live: 3, other: 6 }] })
    expect(await run('diff', 'counts', '--to', 'previous')).toMatchObject({ exitCode: 3 })
    const ofTables = await run('diff', 'counts', '--columns', 'day')
    expect([ofTables.exitCode, ofTables.stderr]).toEqual([2, expect.stringContaining('--columns is for views in your')])
  })

  it('swaps, rolls back and drops', async () => {
    const { run, start } = await ground()
    const unasked = await run('swap', 'counts')
    expect(unasked.exitCode).toBe(6)
    expect(unasked.stderr).toContain('Let v2 of the view serve reads in place of v1?')
    expect((await run('swap', 'counts', '--dry-run')).stderr).toBe(
      'Would let v2 of the view serve reads in place of v1. Nothing was changed.\n',
    )
    // There is nothing to say yes to.
    expect((await run('rollback', 'counts')).stderr).toContain('VIEW_PREVIOUS_MISSING')
    const swapped = await run('swap', 'counts', '--yes')
    expect(swapped).toMatchObject({ exitCode: 0, stderr: 'View counts is swapped; v2 serves reads.\n' })
    expect((await run('get', 'counts', '7')).stdout).toBe('6\n')
    expect((await run('get', 'counts@1', '7')).stdout).toBe('3\n')
    expect((await run('rollback', 'counts', '--yes')).exitCode).toBe(0)
    expect((await run('get', 'counts', '7')).stdout).toBe('3\n')
    expect((await run('drop', 'counts', 'previous', '--yes')).exitCode).toBe(0)
    expect((await run('rollback', 'counts', '--yes')).stderr).toContain('VIEW_PREVIOUS_MISSING')
    await start(1, clockAhead())
    expect(rows((await run('ls')).stdout)).toEqual([['counts', 'shop', 'v1', 'live', '10']])
  })

  it('retires a view with all that is kept of it, once somebody has said yes', async () => {
    const { run, groups, start } = await ground()
    const sentence = 'retire view counts of app shop for good: v1 (live) with 10 keys, v2 (next) with 10 keys'
    const dry = await run('retire', 'counts', '--dry-run')
    expect(dry).toMatchObject({ exitCode: 0, stderr: `Would ${sentence}. Nothing was changed.\n` })
    expect((await run('retire', 'counts')).exitCode).toBe(6)
    expect((await run('retire', 'counts@1', '--yes')).exitCode).toBe(2)
    expect(rows((await run('ls')).stdout)).toHaveLength(2)
    const retired = await run('retire', 'counts', '--yes', '--json')
    expect(JSON.parse(retired.stdout)).toEqual({
      app: 'shop',
      view: 'counts',
      retired: true,
      copies: [
        { copy: 'v1', role: 'live', keyCount: 10 },
        { copy: 'v2', role: 'next', keyCount: 10 },
      ],
    })
    expect((await run('ls', '--json')).stdout).toBe('[]\n')
    expect((await groups('ls', '--json')).stdout).toBe('[]\n')
    expect((await run('retire', 'counts', '--yes')).exitCode).toBe(3)
    await start(1)
    expect(rows((await run('ls')).stdout)).toEqual([['counts', 'shop', 'v1.2', 'live', '10']])
  })

  it('does not retire a view beside an app that runs', async () => {
    const { run, path } = await ground()
    await using running = await app('shop', { views: [counts(1)] }).start({ engine: embedded({ path }) })
    const refused = await run('retire', 'counts', '--yes')
    expect(refused.stderr).toContain('FILE_LOCKED')
    expect(refused.exitCode).toBe(5)
    expect((await run('retire', 'counts', '--dry-run')).exitCode).toBe(0)
    expect(await running.view(counts(1)).count()).toBe(10)
  })

  it('refuses to swap or roll back to a copy that lacks events, unless that is accepted', async () => {
    const { run, start } = await ground(3)
    const refused = await run('swap', 'counts', '--yes')
    expect(refused.exitCode).toBe(6)
    expect(refused.stderr).toContain('VIEW_BEHIND: Copy v2 of view "counts" is 3 events behind')
    expect(refused.stderr).toContain('Start a program that declares this version.')
    await start(2)
    expect((await run('swap', 'counts', '--yes')).exitCode).toBe(0)
    expect((await run('get', 'counts', '7')).stdout).toBe('12\n')
    expect((await run('rollback', 'counts', '--accept-behind', '--yes')).exitCode).toBe(0)
  })

  it('refuses to swap to a copy that was begun after books were closed, unless that is accepted', async () => {
    const cwd = testFolder()
    const path = join(cwd, 'test.db')
    const account = accountDecider()
    const bank = app('bank', { services: [service('accounts', [account])], views: [inlineBalances] })
    await using running = await bank.start({ engine: embedded({ path }) })
    await running.ask(Open({ id: 'a' }))
    for (const amount of [3, 4]) await running.ask(Deposit({ id: 'a', amount }))
    await running.closeBooks(account, 'account-a', ({ balance }) => CarriedForward({ id: 'a', amount: balance }))
    await running.ask(Deposit({ id: 'a', amount: 1 }))
    await running.view(inlineBalances).rebuild({ swap: 'manual' })
    await running.idle()
    await running.stop()
    const run = (...args: string[]): ReturnType<typeof cli> => cli(['views', ...args, '--file', path], { cwd })
    const refused = await run('swap', 'balances', '--yes')
    expect([refused.exitCode, refused.stderr]).toEqual([
      6,
      expect.stringContaining('lacks events of stream "account-a"'),
    ])
    expect(refused.stderr).toContain('--accept-behind')
    expect((await run('swap', 'balances', '--yes', '--accept-behind')).exitCode).toBe(0)
    expect((await run('get', 'balances', 'a')).stdout).toBe('1\n')
  })

  it('has the app build, pause, go on, slow down and show a part of it', async () => {
    const { run, start } = await ground()
    expect((await run('rebuild', 'counts')).stderr).toContain('VIEW_BUILD_UNDER_WAY')
    await run('drop', 'counts', 'next', '--yes')
    expect((await run('rebuild', 'counts', '--manual', '--pace', '5000')).exitCode).toBe(0)
    expect((await run('pause', 'counts')).exitCode).toBe(0)
    await start(1)
    expect(rows((await run('status', 'counts')).stdout).at(-1)).toEqual([
      ...['v1.2', 'next', '0', '30', '30', '0', 'paused, at most 5000 events/s, swap by hand'],
    ])
    await run('resume', 'counts')
    await run('pace', 'counts', 'unlimited')
    expect((await run('pace', 'counts', '0')).exitCode).toBe(2)
    expect((await run('canary', 'counts', '0.5')).stderr).toContain('VIEW_BEHIND')
    await start(1)
    expect((await run('canary', 'counts', '2')).exitCode).toBe(2)
    expect((await run('canary', 'counts', '0.25')).exitCode).toBe(0)
    expect(
      rows((await run('status', 'counts')).stdout)
        .at(-1)
        ?.at(-1),
    ).toBe('caught up, serves 25 % of the keys, swap by hand')
  })
})
