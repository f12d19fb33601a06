import { describe, expect, it } from 'vitest'
import { type App, app, service } from '../app/index.ts'
import type { Engine } from '../engine/index.ts'
import { none, on } from '../runtime/index.ts'
import { Capture, cli, OrderPaid, OrderPlaced, publishOrders, sharedFile, testFile, typed } from './cli.test-support.ts'

/** An app that gives up every order whose id is odd until it is repaired; `audit` gives up all payments. */
function broken(handled: string[], isRepaired = false): App {
  return app('shop', {
    services: [
      service('payment', [
        on(OrderPlaced, { retry: none, onDeadLetter: 'park-key' }, (message) => {
          if (Number(message.data.id) % 2 === 1 && !isRepaired)
            throw new RangeError(`card of ${message.data.id} refused`)
          handled.push(message.data.id)
        }),
      ]),
      service('audit', [
        on(OrderPaid, { retry: none }, () => {
          throw new TypeError('no ledger')
        }),
      ]),
    ],
  })
}

async function run(engine: Engine, handled: string[] = [], isRepaired = false): Promise<void> {
  const running = await broken(handled, isRepaired).start({ engine })
  await running.idle()
  await running.stop()
}

/** Dead letters of orders 1, 3 and 5, and of one payment. */
async function fill(engine: Engine): Promise<void> {
  await engine.topics.create('orders', { partitions: 1 })
  await publishOrders(engine, 6)
  await engine.commit({ publish: [{ topic: 'orders', messages: [OrderPaid({ id: '2' })] }] })
  await run(engine)
}

interface Letter {
  readonly id: string
  readonly app: string
  readonly handler: string
  readonly key: string | null
  readonly requested: string | null
}

const payment = 'shop.payment.OrderPlaced'
const lettersOf = async (cwd: string, path: string, ...args: string[]): Promise<Letter[]> =>
  JSON.parse((await cli(['dead-letters', 'ls', '--json', ...args, '--file', path], { cwd })).stdout) as Letter[]

describe('reading dead letters', () => {
  const shared = sharedFile(fill)

  it('lists them by handler and offset', async () => {
    const { cwd, path } = shared()
    const { exitCode, stdout } = await cli(['dead-letters', 'ls', '--file', path], { cwd })
    expect(exitCode).toBe(0)
    expect(stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^ID +FAILED LAST +ATTEMPTS +ASKED FOR +ERROR$/),
      expect.stringMatching(/^shop\.audit\.OrderPaid\/orders\/0\/0{15}6 .* TypeError: no ledger$/),
      ...[0, 2, 4].map((n): unknown =>
        expect.stringMatching(
          new RegExp(`^shop\\.payment\\.OrderPlaced/orders/0/0{15}${n} .* RangeError: card of ${n + 1} refused$`),
        ),
      ),
    ])
    const ofPayment = await lettersOf(cwd, path, '--handler', payment, '--limit', '2')
    expect(ofPayment.map(({ app: owner, handler, key }) => [owner, handler, key])).toEqual([
      ['shop', payment, '1'],
      ['shop', payment, '3'],
    ])
    expect(await lettersOf(cwd, path, '--after', ofPayment[1]?.id ?? '')).toHaveLength(1)
    expect(await lettersOf(cwd, path, '--app', 'bank')).toEqual([])
    const first = await cli(['dead-letters', 'ls', '--limit', '1', '--file', path], { cwd })
    expect(first.stderr).toMatch(/^There are more, 4 in all: --after "shop\.audit\.OrderPaid/)
  })

  it('shows one with its message and stack', async () => {
    const { cwd, path } = shared()
    const id = (await lettersOf(cwd, path, '--handler', payment))[1]?.id ?? ''
    const { exitCode, stdout } = await cli(['dead-letters', 'show', id, '--file', path], { cwd })
    expect(exitCode).toBe(0)
    expect(stdout).toMatch(/^record +orders\/0\/2$/m)
    expect(stdout).toMatch(/^key +3; later messages wait behind it$/m)
    expect(stdout).toMatch(/^error +RangeError: card of 3 refused$/m)
    expect(stdout).toContain('dead-letters.test.ts')
    expect(stdout).toContain('"type": "OrderPlaced"')
    const json = await cli(['dead-letters', 'show', id, '--json', '--file', path], { cwd })
    expect(JSON.parse(json.stdout)).toMatchObject({ id, app: 'shop', original: { message: { data: { id: '3' } } } })
  })

  it.each<[string[], number, string]>([
    [['show', 'nope'], 3, 'DEAD_LETTER_UNKNOWN'],
    [['redrive', 'nope'], 3, 'DEAD_LETTER_UNKNOWN'],
    [['discard', 'nope', '--yes'], 3, 'DEAD_LETTER_UNKNOWN'],
    [['redrive'], 2, 'Say which ones'],
    [['redrive', 'x', '--all'], 2, 'Say which ones'],
    [['discard', '--all'], 6, 'CLI_UNCONFIRMED'],
    [['redrive', '--all'], 6, 'CLI_UNCONFIRMED'],
    [['show'], 2, "Missing required argument 'id'"],
  ])('refuses dead-letters %j', async (args, code, reason) => {
    const { cwd, path } = shared()
    const { exitCode, stdout, stderr } = await cli(['dead-letters', ...args, '--file', path], { cwd })
    expect(stderr).toContain(reason)
    expect([exitCode, stdout]).toEqual([code, ''])
    expect((await lettersOf(cwd, path)).every(({ requested }) => requested === null)).toBe(true)
  })

  it('counts in a dry run and asks for nothing', async () => {
    const { cwd, path } = shared()
    const redrive = ['dead-letters', 'redrive', '--dry-run', '--file', path]
    const some = await cli([...redrive, '--handler', payment], { cwd })
    expect(some).toEqual({ exitCode: 0, stdout: '', stderr: 'Would redrive 3 dead letters. Nothing was changed.\n' })
    const all = await cli([...redrive, '--all', '--json'], { cwd })
    expect(JSON.parse(all.stdout)).toEqual({ action: 'redrive', count: 4, done: false })
    expect((await lettersOf(cwd, path)).every(({ requested }) => requested === null)).toBe(true)
  })
})

describe('millrace dead-letters redrive', () => {
  it('hands one to its handler when the app starts', async () => {
    const { cwd, path } = await testFile(fill)
    const id = (await lettersOf(cwd, path, '--handler', payment))[1]?.id ?? ''
    const { exitCode, stderr } = await cli(['dead-letters', 'redrive', id, '--file', path], { cwd })
    expect([exitCode, stderr]).toEqual([
      0,
      'Asked for 1 dead letter to be handled again; the app does it when it starts.\n',
    ])
    expect((await lettersOf(cwd, path)).filter(({ requested }) => requested === 'redrive')).toHaveLength(1)
    const handled: string[] = []
    await testFile((engine) => run(engine, handled, true), cwd)
    expect(handled).toEqual(['3'])
    expect((await lettersOf(cwd, path)).map(({ key }) => key)).toEqual(['2', '1', '5'])
  })

  it('hands over all of a handler, with a bar where a terminal is', async () => {
    const { cwd, path } = await testFile(fill)
    const stderr = new Capture(true)
    const args = ['dead-letters', 'redrive', '--handler', payment, '--file', path]
    const { exitCode } = await cli(args, { cwd, stdin: typed('yes\n'), stderr })
    expect(exitCode).toBe(0)
    expect(stderr.text).toContain('Redrive 3 dead letters? [y/N]')
    expect(stderr.text).toContain('redriving ')
    const handled: string[] = []
    await testFile((engine) => run(engine, handled, true), cwd)
    expect(handled.sort()).toEqual(['1', '3', '5'])
    expect((await lettersOf(cwd, path)).map(({ key }) => key)).toEqual(['2'])
  })
})

describe('millrace dead-letters discard', () => {
  it('forgets them, and those that park their key when the app starts', async () => {
    const { cwd, path } = await testFile(fill)
    const { exitCode, stdout } = await cli(['dead-letters', 'discard', '--all', '--yes', '--json', '--file', path], {
      cwd,
    })
    expect([exitCode, JSON.parse(stdout)]).toEqual([0, { action: 'discard', count: 4, done: true }])
    expect((await lettersOf(cwd, path)).map(({ requested }) => requested)).toEqual(['discard', 'discard', 'discard'])
    const handled: string[] = []
    await testFile((engine) => run(engine, handled), cwd)
    expect([handled, await lettersOf(cwd, path)]).toEqual([[], []])
    const none = await cli(['dead-letters', 'ls', '--file', path], { cwd })
    expect(none).toEqual({ exitCode: 0, stdout: '', stderr: 'There are none.\n' })
  })
})
