import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { deployment } from '../bridge/index.ts'
import { embedded } from '../embedded/index.ts'
import type { EngineSource } from '../engine/index.ts'
import { sourceUrl } from './child-process.test-support.ts'
import { type CliResult, cli, publishOrders, testFile, testFolder } from './cli.test-support.ts'
import { InterruptedError } from './errors.ts'

/** A folder with a module that exports a file, or two files as one engine, and that engine. */
function groundOf(...files: readonly [string] | readonly [topics: string, store: string]): {
  readonly cwd: string
  readonly ground: EngineSource
} {
  const cwd = testFolder()
  const [one, other] = files.map((name) => ({ path: join(cwd, name) }))
  const [topics, store] = [one, other].map((options) => `embedded(${JSON.stringify(options)})`)
  const imports = ['embedded/index.ts', 'bridge/index.ts'].map((path) => sourceUrl(path))
  const expression = other === undefined ? topics : `deployment({ topics: ${topics}, store: ${store} })`
  writeFileSync(
    join(cwd, 'ground.js'),
    `import { embedded } from '${imports[0]}'\nimport { deployment } from '${imports[1]}'\nexport const engine = ${expression}\n`,
  )
  writeFileSync(join(cwd, 'package.json'), '{ "type": "module" }')
  const [first, second] = [one, other].map((options) => options && embedded(options)) as [EngineSource, EngineSource?]
  return { cwd, ground: second === undefined ? first : deployment({ topics: first, store: second }) }
}

const on = (cwd: string, ...args: readonly string[]): Promise<CliResult> =>
  cli([...args, '--deployment', 'ground.js'], { cwd, env: { MILLRACE_FILE: join(cwd, 'not-this.db') } })

describe('commands on a deployment', { timeout: 60_000 }, () => {
  it('administer topics, publish, show records, and move groups, as on a file', async () => {
    const { cwd, ground } = groundOf('shop.db')
    const created = await on(cwd, 'topics', 'create', 'orders', '--partitions', '1')
    expect(created).toEqual({ exitCode: 0, stdout: '', stderr: 'Created topic orders with 1 partition.\n' })
    const published = await on(cwd, 'publish', 'orders', '{"id":"1"}', '--type', 'OrderPlaced', '--key-field', 'id')
    expect(published.stdout).toMatch(/^orders\/0\/0 /)
    expect((await on(cwd, 'tail', 'orders')).stdout).toContain('key=1 OrderPlaced {"id":"1"}')
    {
      await using engine = await ground.open()
      const member = await engine.groups.join({
        group: 'shop.payment',
        topics: ['orders'],
        onAssigned: () => undefined,
        onRevoked: () => Promise.resolve(),
        onLost: () => undefined,
      })
      await member.leave()
    }
    const lag = await on(cwd, 'lag', '--json')
    expect(JSON.parse(lag.stdout)).toMatchObject([{ group: 'shop.payment', lagMessages: 1 }])
    const reset = await on(cwd, 'groups', 'reset', 'shop.payment', '--to', 'latest', '--yes')
    expect(reset.stderr).toContain('will handle 0 records again and pass over 1')
    expect((await on(cwd, 'topics', 'describe', 'orders')).stdout).toContain('shop.payment    0')
    expect((await on(cwd, 'topics', 'delete', 'orders', '--yes')).exitCode).toBe(0)
  })

  it('that read work beside a program, and those that write a file of its do not', async () => {
    const { cwd, ground } = groundOf('topics.db', 'store.db')
    await using engine = await ground.open()
    await engine.topics.create('orders', { partitions: 1 })
    await publishOrders(engine, 2)
    expect((await on(cwd, 'tail', 'orders')).stdout.trim().split('\n')).toHaveLength(2)
    const dryRun = await on(cwd, 'topics', 'delete', 'orders', '--dry-run')
    expect([dryRun.exitCode, dryRun.stderr]).toEqual([
      0,
      'Would delete topic orders with 2 records and the progress of 0 groups.\n',
    ])
    const written = await on(cwd, 'topics', 'delete', 'orders', '--yes')
    expect(written.exitCode).toBe(5)
    expect(written.stderr).toContain('FILE_LOCKED')
  })

  it('look into event store, views, sagas, processes, timers and dead letters of it', async () => {
    const { cwd, ground } = groundOf('topics.db', 'store.db')
    {
      await using engine = await ground.open()
      await engine.commit({
        state: [{ kind: 'set', namespace: 'view:shop.daily:v1', key: 'monday', value: { orders: 3 } }],
      })
    }
    expect((await on(cwd, 'views', 'get', 'daily', 'monday')).stdout).toContain('"orders": 3')
    for (const args of [['streams'], ['sagas'], ['processes'], ['timers'], ['dead-letters']]) {
      expect([args, (await on(cwd, ...args, 'ls')).exitCode]).toEqual([args, 0])
    }
  })

  it('are refused where only a file will do, or where both are named', async () => {
    const { cwd } = groundOf('topics.db', 'store.db')
    const { path } = await testFile()
    for (const [args, text] of [
      [['backup', 'copy.db'], 'it copies a file'],
      [['verify'], 'it reads the bytes of a file'],
      [['topics', 'ls', '--file', path], 'leave --file out'],
    ] as const) {
      const { exitCode, stderr } = await on(cwd, ...args)
      expect([args, exitCode]).toEqual([args, 2])
      expect(stderr).toContain(text)
    }
    expect((await cli(['lag', '--deployment', 'missing.js'], { cwd })).exitCode).toBe(3)
    const dev = await on(cwd, 'dev', 'app.js', '--file', path)
    expect(dev.stderr).toContain('leave --data and --file out')
  })

  it('are not waited for when they are stopped while a server does not answer', async () => {
    const cwd = testFolder()
    writeFileSync(join(cwd, 'package.json'), '{ "type": "module" }')
    writeFileSync(
      join(cwd, 'silent.js'),
      `export default { name: 'silent', capabilities: {}, open: () => (process.emit('silentIsAsked'), new Promise(() => undefined)) }`,
    )
    const stop = new AbortController()
    process.once('silentIsAsked', () => setImmediate(() => stop.abort(new InterruptedError('SIGINT'))))
    const { exitCode, stderr } = await cli(['lag', '--deployment', 'silent.js'], { cwd, signal: stop.signal })
    expect([exitCode, stderr]).toEqual([130, ''])
    expect((await cli(['lag', '--deployment', 'silent.js'], { cwd, signal: stop.signal })).exitCode).toBe(130)
  })

  it('are completed with paths of modules, and with no names', async () => {
    const { cwd, path } = await testFile((engine) => engine.topics.create('orders'))
    const complete = async (...words: string[]): Promise<string> =>
      (await cli(['__complete', '--', ...words], { cwd, env: { MILLRACE_FILE: path } })).stdout
    expect(await complete('lag', '--depl')).toContain('--deployment\t')
    expect(await complete('lag', '--deployment', '')).toBe(':path\n')
    expect(await complete('tail', 'ord')).toContain('orders')
    expect(await complete('tail', '--deployment', 'ground.js', 'ord')).toBe(':none\n')
  })
})
