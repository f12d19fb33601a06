import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CommandProcess, installCommand, sourceUrl } from './child-process.test-support.ts'
import { jsonLines, testFolder } from './cli.test-support.ts'

const appSource = `
import { app, event, fixed, on, publish, service, view } from '${sourceUrl('index.ts')}'
interface Order { readonly id: string }
const data = { '~standard': { version: 1 as const, vendor: 'test', validate: (value: unknown) => ({ value: value as Order }) } }
const OrderPlaced = event('OrderPlaced', { topic: 'orders', data, key: (order) => order.id })
const OrderPaid = event('OrderPaid', { topic: 'payments', data, key: (order) => order.id })
const payment = service('payment', [
  on(OrderPlaced, { retry: fixed({ delay: '1ms', max: 2 }) }, async (order, ctx) => {
    if (order.data.id === 'bad') throw new RangeError('card refused')
    if (order.data.id === 'slow') {
      process.stderr.write('slow begins\\n')
      await new Promise((resolve, reject) => {
        setTimeout(resolve, Number(process.env.SLOW_MS))
        ctx.signal.addEventListener('abort', () => reject(ctx.signal.reason), { once: true })
      })
      process.stderr.write('slow ends\\n')
    }
    return publish(OrderPaid({ id: order.data.id }))
  }),
])
const paid = view('paid', { events: [OrderPaid], key: (e) => e.data.id, initial: 0, on: { OrderPaid: (n) => n + 1 } })
export const shop = app('shop', { services: [payment], views: [paid] })
`

function setUp(source: string = `${appSource}\nexport default shop\n`, name = 'app.ts'): { cwd: string; bin: string } {
  const cwd = testFolder()
  writeFileSync(join(cwd, name), source)
  writeFileSync(join(cwd, 'package.json'), '{ "type": "module" }')
  return { cwd, bin: installCommand(cwd) }
}

async function run(
  bin: string,
  cwd: string,
  args: readonly string[],
  input?: string,
): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const command = new CommandProcess(bin, args, cwd)
  command.child.stdin?.end(input)
  const exitCode = await command.exitCode()
  return { exitCode, stdout: command.stdout, stderr: command.stderr }
}

describe('millrace dev', { timeout: 120_000 }, () => {
  it('runs an app until it is stopped, beside which other commands read', async () => {
    const { cwd, bin } = setUp()
    const file = ['--file', 'shop.db']
    expect((await run(bin, cwd, ['topics', 'create', 'orders', ...file])).exitCode).toBe(0)
    const publish = ['publish', 'orders', '--type', 'OrderPlaced', '--key-field', 'id', ...file]
    expect((await run(bin, cwd, publish, '{"id":"1"}\n{"id":"2"}\n{"id":"bad"}\n')).exitCode).toBe(0)
    const dev = new CommandProcess(bin, ['dev', 'app.ts', ...file, '--json'], cwd)
    await dev.says('App shop runs on shop.db. Ctrl-C stops it.')
    await dev.says('"handled":5,')

    const tail = new CommandProcess(bin, ['tail', 'payments', '--json', ...file], cwd)
    expect([await tail.exitCode(), jsonLines(tail.stdout).length]).toEqual([0, 2])
    const groups = await run(bin, cwd, ['groups', 'ls', '--json', ...file])
    expect(
      (JSON.parse(groups.stdout) as { group: string; lagMessages: number }[]).map((one) => [
        one.group,
        one.lagMessages,
      ]),
    ).toEqual([
      ['shop.payment.OrderPlaced', 0],
      ['shop.view:paid.v1', 0],
    ])
    const view = await run(bin, cwd, ['views', 'get', 'paid', '2', ...file])
    expect([view.exitCode, view.stdout]).toEqual([0, '1\n'])
    const locked = await run(bin, cwd, ['publish', 'orders', '{"id":"3"}', '--type', 'OrderPlaced', ...file])
    expect([locked.exitCode, locked.stdout]).toEqual([5, ''])
    expect(locked.stderr).toContain(`error FILE_LOCKED: Process ${dev.child.pid} has `)

    dev.child.kill('SIGINT')
    expect(await dev.exitCode()).toBe(130)
    expect(dev.stderr).toContain('shop.payment.OrderPlaced failed on orders/')
    expect(dev.stderr).toContain('RangeError: card refused')
    expect(dev.stderr).toContain('gave up: dead letter shop.payment.OrderPlaced/orders/')
    expect(dev.stderr).toMatch(/Stopping: handlers may finish\.[\s\S]*App shop stopped\.\n$/)
    const summaries = jsonLines(dev.stdout) as { app: string; deadLetters: number; handlers: unknown[] }[]
    expect(summaries.at(-1)).toMatchObject({
      app: 'shop',
      handled: 5,
      // Two payments and the event that records the dead letter.
      published: 3,
      failed: 2,
      lagMessages: 0,
      deadLetters: 1,
    })

    const redrive = await run(bin, cwd, ['dead-letters', 'redrive', '--all', '--yes', ...file])
    expect(redrive.exitCode).toBe(0)
    const again = await run(bin, cwd, ['dev', 'app.ts', '--once', ...file])
    expect(again.exitCode).toBe(0)
    expect(again.stdout).toMatch(/handled\/s · \d+ published\/s · lag 0 · dead letters 1 · failed attempts 2\n$/)
  })

  it('lets a handler finish at the first Ctrl-C', async () => {
    const { cwd, bin } = setUp()
    const file = ['--file', 'shop.db']
    await run(bin, cwd, ['topics', 'create', 'orders', ...file])
    await run(bin, cwd, ['publish', 'orders', '{"id":"slow"}', '--type', 'OrderPlaced', '--key', 'slow', ...file])
    const dev = new CommandProcess(bin, ['dev', 'app.ts', ...file], cwd, { SLOW_MS: '400' })
    await dev.says('slow begins')
    dev.child.kill('SIGINT')
    expect(await dev.exitCode()).toBe(130)
    expect(dev.stderr).toContain('slow ends')
    const view = await run(bin, cwd, ['tail', 'payments', '--json', ...file])
    expect(jsonLines(view.stdout)).toHaveLength(1)
  })

  it('takes the Ctrl-C that npx passes on for the one that it has got', async () => {
    const { cwd, bin } = setUp()
    const file = ['--file', 'shop.db']
    await run(bin, cwd, ['topics', 'create', 'orders', ...file])
    await run(bin, cwd, ['publish', 'orders', '{"id":"slow"}', '--type', 'OrderPlaced', '--key', 'slow', ...file])
    const dev = new CommandProcess(bin, ['dev', 'app.ts', ...file], cwd, { SLOW_MS: '400' })
    await dev.says('slow begins')
    dev.child.kill('SIGINT')
    await new Promise((resolve) => setTimeout(resolve, 20))
    dev.child.kill('SIGINT')
    expect(await dev.exitCode()).toBe(130)
    expect(dev.stderr).toContain('App shop stopped.')
  })

  it('ends at once at the second, and nothing is lost', async () => {
    const { cwd, bin } = setUp()
    const file = ['--file', 'shop.db']
    await run(bin, cwd, ['topics', 'create', 'orders', ...file])
    await run(bin, cwd, ['publish', 'orders', '{"id":"slow"}', '--type', 'OrderPlaced', '--key', 'slow', ...file])
    const dev = new CommandProcess(bin, ['dev', 'app.ts', ...file], cwd, { SLOW_MS: '100000' })
    await dev.says('slow begins')
    dev.child.kill('SIGINT')
    await dev.says('Ctrl-C again stops at once')
    // One that follows at once is taken for the same, so press until it is a second.
    const pressing = setInterval(() => dev.child.kill('SIGINT'), 100)
    expect(await dev.exitCode()).toBe(130)
    clearInterval(pressing)
    expect(dev.stderr).not.toContain('App shop stopped.')
    const lag = await run(bin, cwd, ['lag', ...file])
    expect(lag.stdout).toMatch(/^shop\.payment\.OrderPlaced +orders +\d +0 +1 +1 /m)
  })

  it('keeps the file in a folder where none is named', async () => {
    const { cwd, bin } = setUp(
      appSource.replace('export const shop', 'export const app_').concat('\nexport { app_ as app }\n'),
    )
    const first = await run(bin, cwd, ['dev', 'app.ts', '--once'])
    expect([first.exitCode, first.stderr]).toEqual([
      0,
      expect.stringContaining(`App shop runs on ${join('.data', 'shop.db')}.`),
    ])
    const second = await run(bin, cwd, ['dev', 'app.ts', '--once', '--data', 'elsewhere'])
    expect(second.stderr).toContain(`App shop runs on ${join('elsewhere', 'shop.db')}.`)
    const both = await run(bin, cwd, ['dev', 'app.ts', '--data', 'x', '--file', 'y'])
    expect([both.exitCode, both.stderr]).toEqual([2, expect.stringContaining('--data and --file exclude each other')])
  })

  it.each<[string, string, string, number, RegExp]>([
    ['a missing module', 'export {}', 'other.ts', 3, /CLI_NOT_FOUND: There is no module ".*other\.ts"/],
    ['a module without an app', 'export const x = 1, y = 2', 'app.ts', 1, /none of its exports is an app \(x, y\)/],
    ['a module without exports', 'globalThis.x = 1', 'app.ts', 1, /it exports nothing/],
    ['a syntax error', 'export default app(\n', 'app.ts', 1, /cannot be run: a syntax error/],
    [
      'a syntax error in JavaScript',
      'const a = 1\nconst b = = 2\n',
      'app.mjs',
      1,
      /a syntax error at .*app\.mjs:2: Unexpected token/,
    ],
    [
      'TypeScript that is not only types',
      'enum Colour { Red }\nexport default 1',
      'app.ts',
      1,
      /Node\.js only strips types/,
    ],
    [
      'an import that the other does not export',
      "import { nope } from 'node:fs'\nexport default nope",
      'app.mjs',
      1,
      /cannot be run: an import at .*app\.mjs:1: .*'nope'/,
    ],
    ['an import that is not there', "import 'no-such-package'", 'app.ts', 1, /Install what it imports/],
    [
      'a module that throws',
      "throw new TypeError('no settings')",
      'app.ts',
      1,
      /it threw while it was loaded: TypeError: no settings\./,
    ],
  ])('says what is wrong with %s', async (_, source, name, code, problem) => {
    const { cwd, bin } = setUp(source, name === 'other.ts' ? 'app.ts' : name)
    const { exitCode, stdout, stderr } = await run(bin, cwd, ['dev', name])
    expect(stderr).toMatch(problem)
    expect([exitCode, stdout]).toEqual([code, ''])
    expect(stderr).not.toContain('    at ')
  })
})
