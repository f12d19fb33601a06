import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { app, service } from '../app/index.ts'
import { accountDecider, Deposit, inlineBalances, Open, Withdraw } from '../domain/account.test-support.ts'
import { embedded } from '../embedded/index.ts'
import { VirtualClock } from '../kernel/index.ts'
import { event } from '../message/index.ts'
import { cli } from './cli.test-support.ts'

const supportUrl = new URL('../domain/account.test-support.ts', import.meta.url).href
const appUrl = new URL('../app/index.ts', import.meta.url).href

const module = `import { app, service } from ${JSON.stringify(appUrl)}
import { accountDecider, inlineBalances } from ${JSON.stringify(supportUrl)}
export default app('bank', { services: [service('accounts', [accountDecider()])], views: [inlineBalances] })
`

let cwd = ''
const run = (...args: string[]) => cli(['streams', 'state', ...args, '--file', 'bank.db'], { cwd })

beforeAll(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
  mkdirSync(join(cwd, 'apps'))
  writeFileSync(join(cwd, 'apps', 'bank.ts'), module)
  writeFileSync(
    join(cwd, 'apps', 'empty.ts'),
    `import { app } from ${JSON.stringify(appUrl)}\nexport default app('x')\n`,
  )
  const clock = new VirtualClock(0)
  const bank = app('bank', { services: [service('accounts', [accountDecider()])] })
  await using engine = await embedded({ path: join(cwd, 'bank.db') }).open({ clock })
  await using running = await bank.start({ engine, clock })
  for (const command of [Open({ id: 'a' }), Deposit({ id: 'a', amount: 100 }), Withdraw({ id: 'a', amount: 30 })]) {
    await running.ask(command)
    await clock.advance('1m')
  }
})

afterAll(() => rmSync(cwd, { recursive: true, force: true }))

describe('millrace streams state', () => {
  it('shows the state now, and at a version, position and time', async () => {
    const states = await Promise.all(
      [[], ['--at-version', '2'], ['--at-position', '1'], ['--at-time', '1970-01-01T00:01:30Z']].map(
        async (options) => {
          const { stdout } = await run('apps/bank.ts', 'account-a', ...options, '--json')
          return JSON.parse(stdout) as { readonly version: number; readonly state: { readonly balance: number } }
        },
      ),
    )
    expect(states.map(({ version, state }) => [version, state.balance])).toEqual([
      [3, 70],
      [2, 100],
      [1, 0],
      [2, 100],
    ])
  })

  it('shows what changed and why', async () => {
    const { stdout, exitCode } = await run('apps/bank.ts', 'account-a', '--since', '2', '--why')
    expect(exitCode).toBe(0)
    expect(stdout).toContain('{"isOpen":true,"balance":70}')
    expect(stdout).toContain('changed /balance: 100 → 70')
    expect(stdout).toMatch(/^1970-01-01T00:02:00\S* 3 Withdrawn because of Withdraw [0-9a-f-]{36}$/m)
    const told = JSON.parse(
      (await run('apps/bank.ts', 'account-a', '--since', '0', '--why', '--json')).stdout,
    ) as object
    expect(told).toMatchObject({
      changes: [
        { path: '/isOpen', before: false, after: true },
        { path: '/balance', before: 0, after: 70 },
      ],
      why: [{ cause: { type: 'Open' } }, { cause: { type: 'Deposit' } }, { version: 3, flow: [] }],
    })
  })

  it.each([
    ['a stream that is not there', ['apps/bank.ts', 'account-b'], 'account-b'],
    ['a decider that is not there', ['apps/bank.ts', 'account-a', '--decider', 'accounts.x'], 'accounts.account'],
    ['an app without deciders', ['apps/empty.ts', 'account-a'], 'has: none'],
    ['two points', ['apps/bank.ts', 'account-a', '--at-version', '1', '--at-position', '1'], 'Give one of'],
    ['a time that is none', ['apps/bank.ts', 'account-a', '--at-time', 'noon'], 'Give a time: 2026-01-31'],
  ])('refuses %s', async (_what, args, told) => {
    const { exitCode, stderr } = await run(...args)
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain(told)
  })
})

describe('millrace views state', () => {
  const view = (...args: string[]) => cli(['views', 'state', ...args, '--file', 'bank.db'], { cwd })
  const name = inlineBalances.name

  it('shows events that stand in no stream by their place on their topic', async () => {
    const heardUrl = new URL('../index.ts', import.meta.url).href
    const ears = `import { app, event, view } from ${JSON.stringify(heardUrl)}
const Heard = event('Heard', { topic: 'heard', key: ({ id }) => id })
export default app('ears', {
  views: [view('heard', { events: [Heard], key: () => 'all', initial: 0, on: { Heard: (n) => n + 1 } })],
})
`
    writeFileSync(join(cwd, 'apps', 'ears.ts'), ears)
    const Heard = event('Heard', { topic: 'heard', data: z.object({ id: z.string() }), key: ({ id }) => id })
    {
      await using engine = await embedded({ path: join(cwd, 'bank.db') }).open()
      await engine.topics.ensure('heard', { partitions: 1 })
      await engine.commit({ publish: [{ topic: 'heard', partition: 0, messages: [Heard({ id: 'a' })] }] })
    }
    const { stdout } = await view('apps/ears.ts', 'heard', 'all', '--why')
    expect(stdout).toContain('heard/0@0 Heard because of')
    const told = JSON.parse((await view('apps/ears.ts', 'heard', 'all', '--why', '--json')).stdout) as object
    expect(told).toMatchObject({ state: 1, why: [{ topic: 'heard', partition: 0, offset: 0, type: 'Heard' }] })
    const refused = await view('apps/ears.ts', 'heard', 'all', '--at-position', '1')
    expect(refused.stderr).toContain('VIEW_HISTORY_MISSING')
  })

  it('shows what a view makes of the store, now and then, what changed and why', async () => {
    const states = await Promise.all(
      [[], ['--at-position', '2'], ['--at-time', '1970-01-01T00:01:30Z'], ['--at-position', '0']].map(
        async (args) =>
          (JSON.parse((await view('apps/bank.ts', name, 'a', '--json', ...args)).stdout) as { state: unknown }).state,
      ),
    )
    expect(states).toEqual([70, 100, 100, null])
    const { stdout } = await view('apps/bank.ts', name, 'a', '--since', '2', '--why')
    expect(stdout).toContain('changed (all): 100 → 70')
    expect(stdout).toMatch(/1970-01-01T00:01:00\S* 2 account-a Deposited because of Deposit/)
    const told = JSON.parse((await view('apps/bank.ts', name, 'a', '--why', '--json')).stdout) as object
    expect(told).toMatchObject({
      why: [{ stream: 'account-a', cause: { type: 'Deposit' } }, { cause: { type: 'Withdraw' } }],
    })
  })

  it.each([
    ['a view that is not there', ['apps/bank.ts', 'sums', 'a'], name],
    ['an app without views', ['apps/empty.ts', name, 'a'], 'has: none'],
    ['two points', ['apps/bank.ts', name, 'a', '--at-position', '1', '--at-time', '2026-01-01'], 'Give one of'],
  ])('refuses %s', async (_what, args, told) => {
    const { exitCode, stderr } = await view(...args)
    expect(exitCode).not.toBe(0)
    expect(stderr).toContain(told)
  })
})
