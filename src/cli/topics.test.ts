import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { Capture, cli, publishOrders, sharedFile, testFile, testFolder, typed } from './cli.test-support.ts'

async function fill(engine: Engine): Promise<void> {
  await engine.topics.create('orders', { partitions: 2, retentionMs: 604_800_000 })
  await engine.topics.create('audit', { partitions: 1 })
  await publishOrders(engine, 3)
}
const withOrders = () => testFile(fill)
const shared = sharedFile(fill)

describe('millrace topics ls', () => {
  it('lists topics in name order', async () => {
    const { cwd, path } = shared()
    const { exitCode, stdout, stderr } = await cli(['topics', 'ls', '--file', path], { cwd })
    expect([exitCode, stderr]).toEqual([0, ''])
    expect(stdout.split('\n').map((line) => line.split(/ {2,}/).slice(0, 3))).toEqual([
      ['TOPIC', 'PARTITIONS', 'RECORDS'],
      ['audit', '1', '0'],
      ['orders', '2', '3'],
      [''],
    ])
    expect(stdout).toContain('7d')
  })

  it('answers with one JSON document', async () => {
    const { cwd, path } = shared()
    const { stdout } = await cli(['topics', 'ls', '--json', '--file', path], { cwd })
    const topics = JSON.parse(stdout) as {
      name: string
      config: { retentionMs: number | null }
      partitions: unknown[]
    }[]
    expect(topics.map(({ name }) => name)).toEqual(['audit', 'orders'])
    expect(topics[1]).toMatchObject({ config: { retentionMs: 604_800_000, partitions: 2 } })
    expect(topics[1]?.partitions).toHaveLength(2)
  })
})

describe('millrace topics describe', () => {
  it('shows settings and partitions', async () => {
    const { cwd, path } = shared()
    const { exitCode, stdout } = await cli(['topics', 'describe', 'orders', '--file', path], { cwd })
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^retention +7d$/m)
    expect(stdout).toMatch(/^PARTITION {2}EARLIEST {2}LATEST {2}RECORDS/m)
    const { stdout: json } = await cli(['topics', 'describe', 'orders', '--json', '--file', path], { cwd })
    expect(JSON.parse(json)).toMatchObject({ name: 'orders', groups: [] })
  })

  it('says that a topic is not there', async () => {
    const { cwd, path } = shared()
    const { exitCode, stdout, stderr } = await cli(['topics', 'describe', 'order', '--file', path], { cwd })
    expect([exitCode, stdout]).toEqual([3, ''])
    expect(stderr).toBe(
      'error TOPIC_UNKNOWN: Topic "order" does not exist.\n' +
        'List the topics with "millrace topics ls", or create it with "millrace topics create <topic>".\n',
    )
  })
})

describe('millrace topics create', () => {
  it('creates the topic, and the file if it is not there', async () => {
    const cwd = testFolder()
    const args = ['topics', 'create', 'prices', '--file', 'new.db']
    const options = ['--partitions', '8', '--cleanup', 'compact', '--retention-bytes', '1GiB', '--compression', 'zstd']
    const created = await cli([...args, ...options, '--json'], { cwd })
    expect(created.exitCode).toBe(0)
    expect(created.stderr).toBe('Created new.db.\n')
    expect(JSON.parse(created.stdout)).toMatchObject({
      name: 'prices',
      config: { partitions: 8, cleanup: 'compact', retentionBytes: 2 ** 30, compression: 'zstd' },
    })
    const again = await cli(args, { cwd })
    expect([again.exitCode, again.stdout]).toEqual([6, ''])
    expect(again.stderr).toContain('error TOPIC_EXISTS')
    expect(await cli([...args, '--if-not-exists'], { cwd })).toMatchObject({ exitCode: 0 })
  })

  it.each([
    [['--partitions', '0'], 'Give a whole number from 1.'],
    [['--partitions', '2000'], 'not a whole number from 1 to 1000'],
    [['--cleanup', 'shred'], 'Allowed choices are delete, compact'],
    [['--retention', 'soon'], "Give a number with its unit: '250ms'"],
    [['--record-bytes-max', '1MB'], 'Give bytes, such as'],
  ])('refuses %j', async (options, reason) => {
    const { cwd, path } = shared()
    const { exitCode, stderr } = await cli(['topics', 'create', 'x', ...options, '--file', path], { cwd })
    expect(exitCode).toBe(2)
    expect(stderr).toContain(reason)
  })

  it('refuses a name that is none', async () => {
    const { cwd, path } = shared()
    expect(await cli(['topics', 'create', 'a/b', '--file', path], { cwd })).toMatchObject({ exitCode: 2, stdout: '' })
  })
})

describe('millrace topics alter', () => {
  it('says what changed', async () => {
    const { cwd, path } = await withOrders()
    const args = ['topics', 'alter', 'orders', '--file', path]
    const { exitCode, stderr } = await cli([...args, '--partitions', '4', '--retention', 'forever'], { cwd })
    expect(exitCode).toBe(0)
    expect(stderr).toBe('partitions: 2 → 4\nretentionMs: 7d → forever\n')
    expect(await cli([...args, '--partitions', '3'], { cwd })).toMatchObject({ exitCode: 2 })
    const none = await cli(args, { cwd })
    expect(none.exitCode).toBe(2)
    expect(none.stderr).toContain('No setting to change was given.')
  })

  it('wants a topic that is there', async () => {
    const { cwd, path } = shared()
    const { exitCode } = await cli(['topics', 'alter', 'nope', '--partitions', '4', '--file', path], { cwd })
    expect(exitCode).toBe(3)
  })
})

describe('millrace topics delete', () => {
  const remove = ['topics', 'delete', 'orders']
  const names = async (cwd: string, path: string): Promise<string[]> =>
    (JSON.parse((await cli(['topics', 'ls', '--json', '--file', path], { cwd })).stdout) as { name: string }[]).map(
      ({ name }) => name,
    )

  it('counts and keeps everything in a dry run', async () => {
    const { cwd, path } = shared()
    const { exitCode, stderr } = await cli([...remove, '--dry-run', '--file', path], { cwd })
    expect([exitCode, stderr]).toEqual([0, 'Would delete topic orders with 3 records and the progress of 0 groups.\n'])
    expect(await names(cwd, path)).toContain('orders')
  })

  it('does nothing where nobody confirms', async () => {
    const { cwd, path } = shared()
    const { exitCode, stderr } = await cli([...remove, '--file', path], { cwd })
    expect(exitCode).toBe(6)
    expect(stderr).toContain('Delete topic orders with 3 records')
    expect(stderr).toContain('error CLI_UNCONFIRMED')
    expect(await names(cwd, path)).toContain('orders')
  })

  it('asks at a terminal', async () => {
    const { cwd, path } = await withOrders()
    const ask = (answer: string) =>
      cli([...remove, '--file', path], { cwd, stdin: typed(`${answer}\n`), stderr: new Capture(true) })
    expect((await ask('n')).exitCode).toBe(6)
    expect(await names(cwd, path)).toContain('orders')
    const atEnd = typed('')
    atEnd.end()
    const ended = await cli([...remove, '--file', path], { cwd, stdin: atEnd, stderr: new Capture(true) })
    expect([ended.exitCode, ended.stderr]).toEqual([6, expect.stringContaining('the answer was not yes')])
    const { exitCode, stderr } = await ask('y')
    expect(exitCode).toBe(0)
    expect(stderr).toContain('[y/N]')
    expect(await names(cwd, path)).not.toContain('orders')
  })

  it('does it with --yes', async () => {
    const { cwd, path } = await withOrders()
    const { exitCode, stdout } = await cli([...remove, '--yes', '--json', '--file', path], { cwd })
    expect(exitCode).toBe(0)
    expect(JSON.parse(stdout)).toEqual({ topic: 'orders', recordCount: 3, groups: [], deleted: true })
    expect(await names(cwd, path)).toEqual(['audit'])
    expect((await cli([...remove, '--yes', '--file', path], { cwd })).exitCode).toBe(3)
  })
})

describe('which file is meant', () => {
  it('--file wins over MILLRACE_FILE, which wins over the nearest package.json that names one', async () => {
    const { writeFileSync, mkdirSync } = await import('node:fs')
    const cwd = testFolder()
    mkdirSync(join(cwd, 'inner'))
    writeFileSync(join(cwd, 'package.json'), '{ "millrace": { "file": "configured.db" } }')
    writeFileSync(join(cwd, 'inner', 'package.json'), '{ "name": "without-an-entry" }')
    const inner = join(cwd, 'inner')
    const create = (args: string[], env: Record<string, string> = {}) =>
      cli(['topics', 'create', 'x', ...args], { cwd: inner, env })
    expect((await create([])).stderr).toContain(`Created ${join(cwd, 'configured.db')}.`)
    expect((await create([], { MILLRACE_FILE: 'variable.db' })).exitCode).toBe(0)
    expect(existsSync(join(inner, 'variable.db'))).toBe(true)
    expect((await create(['--file', 'given.db'], { MILLRACE_FILE: 'variable.db' })).exitCode).toBe(0)
    expect(existsSync(join(inner, 'given.db'))).toBe(true)
    writeFileSync(join(inner, 'package.json'), '{ "millrace": { "file": 7 } }')
    const wrong = await create([])
    expect([wrong.exitCode, wrong.stderr]).toEqual([2, expect.stringContaining('error CLI_CONFIG_INVALID')])
  })
})
