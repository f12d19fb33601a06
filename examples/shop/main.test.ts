import { spawnSync } from 'node:child_process'
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { embedded } from '../../src/embedded/index.ts'
import { systemClock } from '../../src/index.ts'
import { PaymentGateway } from './gateway.ts'
import { expectedFigures } from './reference.test-support.ts'
import { shop } from './shop.ts'
import { figuresIn, figuresOf, lasting, startShop } from './shop-process.test-support.ts'
import { figuresHere } from './shop-run.test-support.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-shop-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const bundled = join(import.meta.dirname, 'data', 'online-retail.csv')
let files = 0

function fileOf(...rows: string[]): string {
  const path = join(folder, `${files++}.csv`)
  writeFileSync(
    path,
    `InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n${rows.join('\n')}\n`,
  )
  return path
}

/** Every third of the bundled invoices: of all days, and a third of the work. */
function everyThirdInvoice(): string {
  const [header, ...rows] = readFileSync(bundled, 'latin1').split('\n')
  const numberOf = (row: string): string => row.split(',', 1)[0] ?? ''
  const numbers = [...new Set(rows.map(numberOf))]
  const chosen = new Set(numbers.filter((_, index) => index % 3 === 0))
  const path = join(folder, 'every-third.csv')
  writeFileSync(path, [header, ...rows.filter((row) => chosen.has(numberOf(row)))].join('\n'), 'latin1')
  return path
}

describe('the shop on the bundled orders', () => {
  it('ends with the figures that a separate computation found', async () => {
    const figures = await figuresOf()
    expect(lasting(figures)).toEqual({
      invoices: 457,
      orders: { placed: 388, confirmed: 388, cancelled: 0 },
      returns: 39,
      stockAdjustments: 30,
      parkedInvoices: 0,
      customersWithOrders: 265,
      grossOrderValue: '166077.84',
      confirmedRevenue: '166077.84',
      refunded: '0.00',
      returned: '3500.44',
      dailyRevenue: {
        '2010-12-01': '58960.79',
        '2010-12-02': '47748.38',
        '2010-12-03': '46943.71',
        '2010-12-05': '12424.96',
      },
      dailyReturned: expect.objectContaining({ '2010-12-01': expect.stringMatching(/^\d+\.\d\d$/) }),
      charged: '166077.84',
      stockViolations: 0,
      openOrders: 0,
      // Per order: received, placed, paid, reserved, confirmed, shipped, told. Per return: received, returned, refunded,
      // told, restocked. Per adjustment: received, counted, adjusted.
      events: 388 * 7 + 39 * 5 + 30 * 3,
    })
    expect(figures.elapsedSeconds).toBeGreaterThan(0)
    expect(figures.eventsPerSecond).toBeGreaterThan(0)
  })

  it.each([{ decline: 0.2 }, { stock: 50 }, { stock: 0 }, { stock: 200, decline: 0.3, repeat: 3 }, { decline: 1 }])(
    'ends with what a plain loop over its rows finds, whatever the gateway does: %j',
    { timeout: 180_000 },
    async (options) => {
      const orders = everyThirdInvoice()
      const args = ['--orders', orders]
      for (const [name, value] of Object.entries(options)) args.push(`--${name}`, String(value))
      const flaky = [...args, '--flaky', '0.3']
      const [steady, disturbed] = await Promise.all([figuresHere(...args), figuresHere(...flaky)])
      expect(steady).toMatchObject({ ...expectedFigures(orders, options), openOrders: 0, stockViolations: 0 })
      expect(lasting(disturbed)).toEqual(lasting(steady))
      expect(lasting(await figuresHere(...flaky, '--saga', 'orchestration'))).toEqual(lasting(steady))
    },
  )

  it('repeats them with fresh numbers', async () => {
    expect(await figuresHere('--repeat', '3')).toMatchObject({
      invoices: 3 * 457,
      ...expectedFigures(bundled, { repeat: 3 }),
      customersWithOrders: 265,
    })
  })
})

describe('the shop on other orders', () => {
  it('parks an invoice with any unreadable row, with a reason for each row', async () => {
    const orders = fileOf(
      '536365,A,X,1,2010-12-01 08:00:00,1.10,1,UK',
      '536366,A,X,1,2010-12-01 08:00:00,1.10,2,UK',
      '536366,B,X,one,2010-12-01 08:00:00,-1,2,UK',
      '536366,C,X',
      '536367,A,X,1,2010-02-30 08:00:00,1.10,3,UK',
      'X36368,A,X,1,2010-12-01 08:00:00,1.10,4,UK',
      'C536369,A,X,-2,2010-12-02 08:00:00,1.005,5,UK',
      '536370,A,X,-2,2010-12-02 08:00:00,0,,UK',
      // Belongs to the first invoice, although others stand between.
      '536365,B,X,2,2010-12-01 08:00:00,0.333,1,UK',
    )
    const data = join(folder, 'parked')
    const figures = await figuresOf('--orders', orders, '--data', data)
    expect(figures).toMatchObject({
      invoices: 6,
      orders: { placed: 1, confirmed: 1, cancelled: 0 },
      returns: 1,
      stockAdjustments: 1,
      parkedInvoices: 3,
      customersWithOrders: 1,
      grossOrderValue: '1.77',
      returned: '2.01',
      dailyRevenue: { '2010-12-01': '1.77' },
      dailyReturned: { '2010-12-02': '2.01' },
    })
    expect(lasting(await figuresOf('--orders', orders, '--data', data))).toEqual(lasting(figures))
    expect(await deadLettersIn(data)).toEqual([
      'Invoice "536366" cannot be read: line 4: quantity "one" is no integer, price "-1" is no non-negative decimal; line 5: it has 3 columns where the header has 8. Correct these rows in the orders file and import them anew.',
      'Invoice "536367" cannot be read: line 6: date "2010-02-30 08:00:00" is no date. Correct these rows in the orders file and import them anew.',
      'Invoice "X36368" cannot be read: line 7: invoice number "X36368" is neither six digits nor C and six digits. Correct these rows in the orders file and import them anew.',
    ])
  })

  it('parks only the invoices whose rows are damaged, whatever is wrong with the file', async () => {
    const bytes = readFileSync(bundled, 'latin1').split('\n')
    const damage = new Map<number, (row: string) => string>([
      // A quotation mark that nobody closes, far from others and right before one.
      [10, (row) => row.replace(/,([^,]*),/, ',$1,"')],
      [bytes.findIndex((row) => row.includes('"')) - 1, (row) => row.replace(/,([^,]*),/, ',$1,"')],
      [1_000, (row) => row.replace(',', ',\0')],
      [2_000, (row) => `${row},\xe9`],
      [3_000, (row) => row + 'x'.repeat(2_000_000)],
    ])
    const numbers = [...damage.keys()].map((line) => bytes[line]?.split(',')[0] ?? '')
    const damaged = join(folder, 'damaged.csv')
    writeFileSync(damaged, bytes.map((row, line) => damage.get(line)?.(row) ?? row).join('\n'), 'latin1')
    const intact = join(folder, 'intact.csv')
    writeFileSync(intact, bytes.filter((row) => !numbers.includes(row.split(',')[0] ?? '')).join('\n'), 'latin1')
    const data = join(folder, 'damaged')
    const options = { stock: 40, decline: 0.2 }
    const figures = await figuresOf('--orders', damaged, '--data', data, '--stock', '40', '--decline', '.2')
    expect(new Set(numbers).size).toBe(5)
    expect(figures).toMatchObject({ ...expectedFigures(intact, options), parkedInvoices: 5, invoices: 457 })
    const parked = (await deadLettersIn(data)).map((message) => /^Invoice "(\w+)"/.exec(message)?.[1])
    expect(parked).toHaveLength(5)
    expect(new Set(parked)).toEqual(new Set(numbers))
  })

  it('rounds only what it prints', async () => {
    const rows = Array.from({ length: 8 }, (_, index) => `${536_365 + index},A,X,1,2010-12-01,0.1275,,UK`)
    // 8 × 0.1275 is 1.02; eight rounded prices would be 1.04.
    expect(await figuresOf('--orders', fileOf(...rows))).toMatchObject({ grossOrderValue: '1.02', charged: '1.02' })
  })

  it('has no figures but zeros for a file without invoices', async () => {
    expect(await figuresOf('--orders', fileOf())).toMatchObject({
      invoices: 0,
      events: 0,
      charged: '0.00',
      dailyRevenue: {},
    })
  })

  it('refuses a file that is none, and says why', async () => {
    const path = join(folder, 'none.csv')
    writeFileSync(path, 'a,b,c\n1,2,3\n')
    const { code, stdout, stderr } = await startShop(['--once', '--json', '--orders', path]).exit
    expect([code, stdout]).toEqual([1, ''])
    expect(stderr).toContain('SHOP_ORDERS_FILE')
    expect(stderr).toContain('its first line lacks InvoiceNo, StockCode, Quantity, InvoiceDate, UnitPrice, CustomerID')
    expect(stderr.split('\n')).toHaveLength(2)
  })
})

describe('the command line of the shop', () => {
  it('names all options that cannot be used', async () => {
    const { code, stdout, stderr } = await startShop(['--once', '--stock', '-3', '--colour', '--repeat=0']).exit
    expect([code, stdout]).toEqual([2, ''])
    for (const option of ['--stock', '--colour', '--repeat']) expect(stderr).toContain(option)
  })

  it.each([
    ['within a file', () => join(fileOf(), 'inside')],
    ['where nobody may make folders', () => '/proc/shop'],
  ])('says what is wrong with a data folder %s', async (_name, place) => {
    const { code, stderr } = await startShop(['--once', '--data', place()]).exit
    expect(code).toBe(1)
    expect(stderr).toContain('SHOP_DATA_FOLDER')
    expect(stderr.split('\n')).toHaveLength(2)
  })

  it('prints a report for people without --json', async () => {
    const { code, stdout } = await startShop(['--once', '--orders', fileOf('536365,A,X,1,2010-12-01,2.55,1,UK')]).exit
    expect(code).toBe(0)
    expect(stdout).toMatch(/^revenue {2,}£2\.55$/m)
  })

  it('takes a reader who has seen enough for no failure, and a full disk for one', () => {
    const orders = fileOf('536365,A,X,1,2010-12-01,2.55,1,UK')
    const run = (to: string): { status: number | null; stderr: string } => {
      const command = `"${process.execPath}" "${join(import.meta.dirname, 'main.ts')}" --once --orders "${orders}" ${to}`
      return spawnSync('bash', ['-o', 'pipefail', '-c', command], { encoding: 'utf8' })
    }
    expect(run('| true')).toMatchObject({ status: 0, stderr: '' })
    expect(run('>/dev/full')).toMatchObject({
      status: 1,
      stderr: 'The figures could not be written: ENOSPC: no space left on device, write.\n',
    })
  })

  it('leaves nothing behind without --data', async () => {
    const temporary = mkdtempSync(join(folder, 'tmp-'))
    const orders = fileOf('536365,A,X,1,2010-12-01,2.55,1,UK')
    const { code } = await startShop(['--once', '--orders', orders], { TMPDIR: temporary }).exit
    expect(code).toBe(0)
    expect(readdirSync(temporary)).toEqual([])
  })

  it('goes on in its folder, and refuses to mix two runs there', async () => {
    const args = ['--data', join(folder, 'again'), '--orders', fileOf('536365,A,X,1,2010-12-01,2.55,1,UK')]
    const first = await figuresOf(...args)
    const second = await figuresOf(...args)
    expect(lasting(second)).toEqual(lasting(first))
    expect(second.eventsPerSecond).toBe(0)
    const { code, stderr } = await startShop(['--once', ...args, '--stock', '5']).exit
    expect(code).toBe(1)
    expect(stderr).toContain('SHOP_RUN_MISMATCH')
    expect(stderr).toContain('--stock was unlimited and is 5')
    const elsewhere = ['--once', ...args, '--deployment', 'postgres']
    const refused = await startShop(elsewhere, { DATABASE_URL: 'postgres://nobody@127.0.0.1:1/none' }).exit
    expect([refused.code, refused.stderr]).toEqual([
      1,
      expect.stringContaining('--deployment was embedded and is postgres'),
    ])
    expect(lasting(await figuresOf(...args, '--afresh'))).toEqual(lasting(first))
    expect(lasting(await figuresOf(...args, '--afresh', '--stock', '5'))).toMatchObject({ invoices: 1 })
  })

  it('begins afresh without touching what is not its own, and not under another one', async () => {
    const data = join(folder, 'afresh')
    const args = ['--data', data, '--orders', fileOf('536365,A,X,1,2010-12-01,2.55,1,UK')]
    await figuresOf(...args)
    writeFileSync(join(data, 'thesis.txt'), 'mine')
    // Cut off, as by a power failure.
    writeFileSync(join(data, 'deployment.json'), '')
    expect(await figuresOf(...args)).toMatchObject({ invoices: 1 })
    {
      await using _running = await embedded({ path: join(data, 'shop.db') }).open()
      const refused = await startShop(['--once', ...args, '--afresh']).exit
      expect([refused.code, refused.stderr]).toEqual([1, expect.stringContaining('FILE_LOCKED')])
    }
    expect(await figuresOf(...args, '--afresh')).toMatchObject({ invoices: 1 })
    expect(readFileSync(join(data, 'thesis.txt'), 'utf8')).toBe('mine')
  })

  it('says that a server is not there, and nothing else', async () => {
    const DATABASE_URL = 'postgres://nobody@127.0.0.1:1/none'
    const { stderr, ...exit } = await startShop(['--once', '--deployment', 'postgres'], { DATABASE_URL }).exit
    expect(exit).toMatchObject({ code: 1, stdout: '' })
    expect(stderr).toMatch(/^POSTGRES_UNREACHABLE: [^\n]+\n$/)
  })

  it('runs until it is stopped, then prints what it did', async () => {
    const orders = fileOf('536365,A,X,1,2010-12-01,2.55,1,UK')
    const { child, exit } = startShop(['--json', '--orders', orders, '--data', join(folder, 'endless')])
    const allIn = new Promise<void>((resolve) => {
      child.stderr?.on('data', (chunk: string) => {
        if (chunk.includes('All invoices are in')) resolve()
      })
    })
    await Promise.race([allIn, exit])
    child.kill('SIGINT')
    expect(figuresIn(await exit)).toMatchObject({ orders: { placed: 1, confirmed: 1, cancelled: 0 }, charged: '2.55' })
  })

  it('takes the Ctrl-C that npm passes on for the one that it has got', async () => {
    const data = join(folder, 'twice')
    const { child, exit } = startShop(['--json', '--speed', '2', '--data', data])
    await vi.waitUntil(() => existsSync(join(data, 'gateway.db')), { timeout: 30_000 })
    child.kill('SIGINT')
    await new Promise((resolve) => setTimeout(resolve, 20))
    child.kill('SIGINT')
    expect(figuresIn(await exit)).toMatchObject({ openOrders: 0 })
    // What SQLite leaves behind when a process is killed is not there.
    expect(readdirSync(data).filter((name) => name.endsWith('-wal'))).toEqual([])
  })

  it('says that its folder is in use, and what to do', async () => {
    const data = join(folder, 'shared')
    const { child, exit } = startShop(['--speed', '2', '--data', data])
    await vi.waitUntil(() => existsSync(join(data, 'gateway.db')), { timeout: 30_000 })
    const second = await startShop(['--once', '--data', data]).exit
    child.kill('SIGINT')
    expect([second.code, second.stdout]).toEqual([1, ''])
    expect(second.stderr).toMatch(
      /^FILE_LOCKED: Process \d+ has .* open for writing\. Stop it first, or name another folder/,
    )
    expect((await exit).code).toBe(0)
  })

  it('stops early when it is told to, and goes on later', async () => {
    const data = join(folder, 'early')
    const { child, exit } = startShop(['--once', '--json', '--speed', '2', '--data', data])
    // The gateway is opened last: from then on the shop works.
    await vi.waitUntil(() => existsSync(join(data, 'gateway.db')), { timeout: 30_000 })
    child.kill('SIGINT')
    const stopped = await exit
    expect(stopped).toMatchObject({ code: 130, stdout: '' })
    expect(stopped.stderr).toContain('Stopped before everything was done.')
    expect(await figuresOf('--data', data)).toMatchObject({
      orders: { placed: 388, confirmed: 388 },
      charged: '166077.84',
    })
  })
})

/** The reasons of all dead letters in a data folder, by the public way: a start of the app. */
async function deadLettersIn(data: string): Promise<string[]> {
  await using gateway = await PaymentGateway.open({ path: join(data, 'gateway.db'), clock: systemClock })
  await using running = await shop(gateway).start({ engine: embedded({ path: join(data, 'shop.db') }) })
  return (await running.deadLetters.list()).map(({ error }) => error.message)
}
