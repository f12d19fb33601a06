import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { cli, publishOrders, sharedFile, testFile } from './cli.test-support.ts'

/** Two groups on two topics of one partition; `slow` has done 2 of 5 orders, `done` all of them. */
async function fill(engine: Engine): Promise<void> {
  await engine.topics.create('orders', { partitions: 1 })
  await engine.topics.create('audit', { partitions: 1 })
  await publishOrders(engine, 5)
  for (const [group, to] of [
    ['slow', 2],
    ['done', 5],
  ] as const) {
    const member = await engine.groups.join({
      group,
      topics: group === 'slow' ? ['orders', 'audit'] : ['orders'],
      onAssigned: () => undefined,
      onRevoked: () => Promise.resolve(),
      onLost: () => undefined,
    })
    const claim = member.claims.find(({ topic }) => topic === 'orders')
    if (claim === undefined) throw new Error('the member has no claim on orders')
    await engine.commit({ progress: [{ claim, done: [{ from: 0, to }] }] })
    await member.leave()
  }
}

interface Described {
  readonly group: string
  readonly lagMessages: number
  readonly lagSeconds: number
  readonly topics: readonly string[]
  readonly partitions: readonly { readonly topic: string; readonly next: number; readonly lagMessages: number }[]
}

const described = async (cwd: string, path: string, group: string): Promise<Described> =>
  JSON.parse((await cli(['groups', 'describe', group, '--json', '--file', path], { cwd })).stdout) as Described

const nextOf = async (cwd: string, path: string, group: string): Promise<Record<string, number>> =>
  Object.fromEntries((await described(cwd, path, group)).partitions.map(({ topic, next }) => [topic, next]))

describe('reading groups', () => {
  const shared = sharedFile(fill)

  it('lists groups with their lag', async () => {
    const { cwd, path } = shared()
    const { exitCode, stdout, stderr } = await cli(['groups', 'ls', '--file', path], { cwd })
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout.trim().split('\n')).toEqual([
      expect.stringMatching(/^GROUP +LAG +BEHIND +TOPICS$/),
      expect.stringMatching(/^done +0 +0s +orders$/),
      expect.stringMatching(/^slow +3 +\S+ +audit, orders$/),
    ])
    const { stdout: json } = await cli(['groups', 'ls', '--json', '--file', path], { cwd })
    expect((JSON.parse(json) as Described[]).map(({ group, lagMessages }) => [group, lagMessages])).toEqual([
      ['done', 0],
      ['slow', 3],
    ])
  })

  it('describes one', async () => {
    const { cwd, path } = shared()
    const { exitCode, stdout } = await cli(['groups', 'describe', 'slow', '--file', path], { cwd })
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^group {2}slow$/m)
    expect(stdout).toMatch(/^orders +0 +2 +5 +3 +\S+$/m)
    expect(await described(cwd, path, 'slow')).toMatchObject({
      group: 'slow',
      lagMessages: 3,
      topics: ['audit', 'orders'],
    })
  })

  it('shows lag where something waits, or everywhere', async () => {
    const { cwd, path } = shared()
    const lag = ['lag', '--file', path]
    const waiting = await cli(lag, { cwd })
    expect(waiting.stdout.trim().split('\n').slice(1)).toEqual([
      expect.stringMatching(/^slow +orders +0 +2 +5 +3 +\S+$/),
    ])
    const all = await cli([...lag, '--all'], { cwd })
    expect(all.stdout.trim().split('\n').slice(1)).toHaveLength(3)
    expect(await cli([...lag, 'done'], { cwd })).toEqual({ exitCode: 0, stdout: '', stderr: 'Nothing waits.\n' })
    const json = JSON.parse((await cli([...lag, 'done', 'slow', '--json'], { cwd })).stdout) as Described[]
    expect(json.map(({ group }) => group)).toEqual(['done', 'slow'])
    expect((await cli([...lag, 'nope'], { cwd })).exitCode).toBe(3)
  })

  it.each<[string[], number, string]>([
    [['describe', 'nope'], 3, 'GROUP_UNKNOWN'],
    [['reset', 'nope', '--to', 'latest', '--dry-run'], 3, 'GROUP_UNKNOWN'],
    [['reset', 'slow'], 2, "Required option '--to <position>' not specified"],
    [['reset', 'slow', '--to', 'soon'], 2, "Give 'earliest', 'latest'"],
    [['reset', 'slow', '--to', 'latest', '--topic', 'nope', '--dry-run'], 3, 'TOPIC_UNKNOWN'],
    [['reset', 'done', '--to', 'latest', '--topic', 'audit', '--dry-run'], 3, 'There is no progress on topic "audit"'],
    [['reset', 'slow', '--to', 'latest', '--partition', '7', '--dry-run'], 3, 'PARTITION_UNKNOWN'],
    [['reset', 'done', '--to', '99', '--dry-run'], 3, 'OFFSET_OUT_OF_RANGE'],
    [['reset', 'slow', '--to', 'latest'], 6, 'CLI_UNCONFIRMED'],
    [['delete', 'slow'], 6, 'CLI_UNCONFIRMED'],
    [['delete', 'nope', '--yes'], 3, 'GROUP_UNKNOWN'],
  ])('refuses groups %j', async (args, code, reason) => {
    const { cwd, path } = shared()
    const { exitCode, stderr } = await cli(['groups', ...args, '--file', path], { cwd })
    expect(stderr).toContain(reason)
    expect(exitCode).toBe(code)
    expect(await nextOf(cwd, path, 'slow')).toEqual({ audit: 0, orders: 2 })
  })
})

describe('millrace groups reset', () => {
  const reset = ['groups', 'reset', 'slow']

  it('shows what would move and moves nothing in a dry run', async () => {
    const { cwd, path } = await testFile(fill)
    const { exitCode, stdout, stderr } = await cli([...reset, '--to', 'earliest', '--dry-run', '--file', path], { cwd })
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^orders +0 +2 +0 +-2$/m)
    expect(stderr).toBe('Group slow would handle 2 records again and pass over 0. Nothing was changed.\n')
    expect(await nextOf(cwd, path, 'slow')).toEqual({ audit: 0, orders: 2 })
  })

  it.each<[string, string[], Record<string, number>]>([
    ['earliest', ['earliest'], { audit: 0, orders: 0 }],
    ['latest', ['latest', '--topic', 'orders'], { audit: 0, orders: 5 }],
    ['an offset, on topics that have it', ['4'], { audit: 0, orders: 4 }],
    ['a time', ['@2020-01-01', '--partition', '0'], { audit: 0, orders: 0 }],
  ])('to %s', async (_, to, expected) => {
    const { cwd, path } = await testFile(fill)
    const { exitCode, stdout } = await cli([...reset, '--to', ...to, '--yes', '--json', '--file', path], { cwd })
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ group: 'slow', done: true })
    expect(await nextOf(cwd, path, 'slow')).toEqual(expected)
    expect(await nextOf(cwd, path, 'done')).toEqual({ orders: 5 })
  })
})

describe('attempts of a group that is moved by hand', () => {
  it.each([
    ['reset', 'slow', '--to', 'earliest'],
    ['delete', 'slow'],
  ])('begin anew: %s', async (...command) => {
    const { cwd, path } = await testFile(async (engine) => {
      await fill(engine)
      const kept = ['slow', 'done'].map((group) => `attempts:${group}`)
      await engine.commit({
        state: kept.map((namespace) => ({ kind: 'set', namespace, key: 'orders/0/1', value: {} })),
      })
    })
    const { exitCode } = await cli(['groups', ...command, '--yes', '--file', path], { cwd })
    expect(exitCode).toBe(0)
    await using engine = await embedded({ path, readOnly: true }).open()
    expect(await engine.state.namespaces('attempts:')).toEqual(['attempts:done'])
  })
})

describe('millrace groups delete', () => {
  it('counts, then forgets', async () => {
    const { cwd, path } = await testFile(fill)
    const remove = ['groups', 'delete', 'slow', '--file', path]
    const dry = await cli([...remove, '--dry-run'], { cwd })
    expect(dry).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: 'Would forget the progress of group slow on 2 partitions.\n',
    })
    const { exitCode, stdout } = await cli([...remove, '--yes', '--json'], { cwd })
    expect([exitCode, JSON.parse(stdout)]).toEqual([0, expect.objectContaining({ group: 'slow', deleted: true })])
    expect((await cli(remove, { cwd })).exitCode).toBe(3)
  })
})
