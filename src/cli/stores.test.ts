import { describe, expect, it } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { cli, jsonLines, OrderPaid, OrderPlaced, sharedFile } from './cli.test-support.ts'

/** Views of two apps, one of them in two versions; three streams; timers due and to come. */
async function fill(engine: Engine): Promise<void> {
  const set = (namespace: string, key: string, value: number | { readonly n: number }) =>
    ({ kind: 'set', namespace, key, value }) as const
  await engine.commit({
    state: [
      ...Array.from({ length: 25 }, (_, day) =>
        set('view:shop.daily:v2', `2010-12-${String(day + 1).padStart(2, '0')}`, { n: day }),
      ),
      set('view:shop.daily:v1', 'old', 1),
      set('view:shop.totals:v1', 'all', 7),
      set('view:bank.totals:v1', 'all', 8),
      set('state:shop.payment.charge', 'not a view', 1),
    ],
    append: [
      {
        stream: 'order-1',
        events: [{ message: OrderPlaced({ id: '1' }), tags: ['customer:17'] }, { message: OrderPaid({ id: '1' }) }],
      },
      { stream: 'order-2', events: [{ message: OrderPlaced({ id: '2' }), tags: ['customer:18', 'big'] }] },
      { stream: 'gone', events: [{ message: OrderPlaced({ id: '3' }) }] },
    ],
    timers: [
      { kind: 'schedule', owner: 'a', id: 'late', dueMs: Date.parse('2099-01-01T00:00:00Z'), payload: { order: 7 } },
      { kind: 'schedule', owner: 'a', id: 'early', dueMs: Date.parse('2020-01-01T00:00:00Z'), payload: null },
      { kind: 'schedule', owner: 'b', id: 'never', dueMs: 8.64e15 + 1, payload: null },
    ],
  })
  await engine.events.deleteStream('gone', { tombstone: true })
  await engine.events.truncateStream('order-1', 2)
}

const shared = sharedFile(fill)
const run = (...args: string[]) => cli([...args, '--file', shared().path], { cwd: shared().cwd })
const rows = (stdout: string): string[] => stdout.trimEnd().split('\n').slice(1)

describe('millrace views', () => {
  it('lists views, and nothing else that is state', async () => {
    const { exitCode, stdout } = await run('views', 'ls')
    expect(exitCode).toBe(0)
    expect(rows(stdout).map((row) => row.split(/ +/))).toEqual([
      ['totals', 'bank', 'v1', '-', '1'],
      ['daily', 'shop', 'v1', '-', '1'],
      ['daily', 'shop', 'v2', '-', '25'],
      ['totals', 'shop', 'v1', '-', '1'],
    ])
    const { stdout: json } = await run('views', 'ls', '--json')
    expect(JSON.parse(json)).toContainEqual({
      app: 'shop',
      name: 'daily',
      version: 2,
      build: 1,
      copy: 'v2',
      role: null,
      keyCount: 25,
    })
  })

  it('gets a key of the newest version, or of the one that is named', async () => {
    expect(await run('views', 'get', 'daily', '2010-12-02')).toEqual({
      exitCode: 0,
      stdout: '{\n  "n": 1\n}\n',
      stderr: '',
    })
    expect((await run('views', 'get', 'shop.daily@1', 'old')).stdout).toBe('1\n')
    expect((await run('views', 'get', 'bank.totals', 'all')).stdout).toBe('8\n')
    const { stdout } = await run('views', 'get', 'daily', '2010-12-02', '--json')
    expect(JSON.parse(stdout)).toEqual({ key: '2010-12-02', revision: 1, value: { n: 1 } })
  })

  it.each<[string, string[], string[]]>([
    ['bounds', ['--from', '2010-12-03', '--to', '2010-12-05'], ['2010-12-03', '2010-12-04']],
    ['a prefix, last key first', ['--prefix', '2010-12-2', '--reverse', '--limit', '2'], ['2010-12-25', '2010-12-24']],
    ['going on', ['--after', '2010-12-24'], ['2010-12-25']],
  ])('ranges by %s', async (_, args, keys) => {
    const { stdout } = await run('views', 'range', 'daily', ...args, '--json')
    expect((JSON.parse(stdout) as { key: string }[]).map(({ key }) => key)).toEqual(keys)
  })

  it('says that there is more, and shows all of it when asked', async () => {
    const page = await run('views', 'range', 'daily', '--limit', '24')
    expect(rows(page.stdout)).toHaveLength(24)
    expect(page.stderr).toBe('There are more: --after "2010-12-24" shows the next, --all everything.\n')
    const exact = await run('views', 'range', 'daily', '--limit', '25')
    expect([rows(exact.stdout).length, exact.stderr]).toEqual([25, ''])
    expect(jsonLines((await run('views', 'range', 'daily', '--all', '--json')).stdout)).toHaveLength(25)
    expect((await run('views', 'range', 'daily', '--all')).stdout.split('\n')[0]).toBe('2010-12-01  {"n":0}')
  })

  it.each<[string[], number, string]>([
    [['get', 'nope', 'x'], 3, 'There is no view "nope"'],
    [['get', 'daily@7', 'x'], 3, 'There is no view "daily@7"'],
    [['get', 'daily', 'x'], 3, 'There is no key in view daily "x"'],
    [['get', 'totals', 'all'], 2, 'Several apps have a view totals'],
    [['range', 'daily', '--limit', '0'], 2, 'Give a whole number from 1.'],
    [['get', 'daily'], 2, "Missing required argument 'key'"],
  ])('refuses views %j', async (args, code, reason) => {
    const { exitCode, stdout, stderr } = await run('views', ...args)
    expect(stderr).toContain(reason)
    expect([exitCode, stdout]).toEqual([code, ''])
  })
})

describe('millrace streams', () => {
  it('lists streams', async () => {
    const { exitCode, stdout } = await run('streams', 'ls')
    expect(exitCode).toBe(0)
    expect(rows(stdout).map((row) => row.split(/ {2,}/))).toEqual([
      ['gone', '2', '3', 'deleted for good'],
      ['order-1', '2', '2', 'open'],
      ['order-2', '1', '-', 'open'],
    ])
    const page = await run('streams', 'ls', '--prefix', 'order-', '--limit', '1', '--json')
    expect(JSON.parse(page.stdout)).toEqual([expect.objectContaining({ stream: 'order-1', version: 2 })])
    expect((await run('streams', 'ls', '--limit', '1', '--after', 'gone')).stderr).toContain(
      '--after "order-1" shows the next',
    )
  })

  it('reads one', async () => {
    const { stdout } = await run('streams', 'read', 'order-2')
    expect(stdout).toMatch(/^\S+ 1 OrderPlaced \[customer:18 big\] \{"id":"2"\}\n$/)
    const [event] = jsonLines((await run('streams', 'read', 'order-1', '--json')).stdout) as Record<string, unknown>[]
    expect(event).toMatchObject({
      stream: 'order-1',
      version: 2,
      position: 2,
      tags: [],
      message: { type: 'OrderPaid' },
    })
  })

  it('reads the whole store, by type and tag', async () => {
    const positions = async (...args: string[]): Promise<unknown[]> =>
      (jsonLines((await run('streams', 'read', '--all', '--json', ...args)).stdout) as { position: number }[]).map(
        ({ position }) => position,
      )
    expect(await positions()).toEqual([2, 3])
    expect(await positions('--backward', '--limit', '1')).toEqual([3])
    expect(await positions('--from', '3')).toEqual([3])
    expect(await positions('--type', 'OrderPaid')).toEqual([2])
    expect(await positions('--tag', 'big', '--tag', 'customer:18')).toEqual([3])
    expect(await positions('--tag', 'big', '--tag', 'customer:17')).toEqual([])
    expect((await run('streams', 'read', '--all')).stdout).toMatch(/^\S+ 2 order-1\/2 OrderPaid /)
  })

  it('describes one', async () => {
    expect((await run('streams', 'describe', 'order-1')).stdout).toMatch(/^truncated before {2}version 2$/m)
    const { stdout } = await run('streams', 'describe', 'gone', '--json')
    expect(JSON.parse(stdout)).toEqual({
      stream: 'gone',
      version: 2,
      truncatedBefore: 3,
      deletedAt: 2,
      tombstoned: true,
    })
  })

  it.each<[string[], number, string]>([
    [['describe', 'nope'], 3, 'STREAM_UNKNOWN'],
    [['read', 'nope'], 3, 'STREAM_UNKNOWN'],
    [['read'], 2, 'Name one stream, or give --all.'],
    [['read', 'order-1', '--all'], 2, 'Name one stream, or give --all.'],
    [['read', 'order-1', '--from', '@soon'], 2, 'Give a version, with --all a position, or a time: @2026-01-31,'],
  ])('refuses streams %j', async (args, code, reason) => {
    const { exitCode, stdout, stderr } = await run('streams', ...args)
    expect(stderr).toContain(reason)
    expect([exitCode, stdout]).toEqual([code, ''])
  })
})

describe('millrace timers ls', () => {
  it('lists timers, the next one first', async () => {
    const { exitCode, stdout } = await run('timers', 'ls')
    expect(exitCode).toBe(0)
    expect(rows(stdout)).toEqual([
      expect.stringMatching(/^2020-01-01T00:00:00\.000Z +due +a +early +null$/),
      expect.stringMatching(/^2099-01-01T00:00:00\.000Z +\d+d( \d+h)? +a +late +\{"order":7\}$/),
      expect.stringMatching(/^8640000000000001 +\d+d( \d+h)? +b +never +null$/),
    ])
    const { stdout: json } = await run('timers', 'ls', '--owner', 'b', '--json')
    expect(JSON.parse(json)).toEqual([expect.objectContaining({ owner: 'b', id: 'never', dueMs: 8.64e15 + 1 })])
    expect((await run('timers', 'ls', '--limit', '2')).stderr).toContain('There are more than 2')
    expect((await run('timers', 'ls', '--limit', 'x')).exitCode).toBe(2)
  })
})
