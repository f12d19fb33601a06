import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { type EmbeddedEngine, embedded } from '../../src/embedded/index.ts'
import { type Clock, type Message, type MessageOf, systemClock, VirtualClock } from '../../src/index.ts'
import { RunMismatchError } from './errors.ts'
import { InvoiceReceived } from './events.ts'
import { type ImportOptions, importOrders, type RunSettings } from './import-orders.ts'
import { type InvoiceFile, surveyInvoiceFile } from './invoice-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-import-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let files = 0

async function fileOf(invoices: number): Promise<InvoiceFile> {
  const path = join(folder, `${files++}.csv`)
  const rows = Array.from({ length: invoices }, (_, index) => `${536_365 + index},A,1,2010-12-01,2.55,`)
  writeFileSync(path, ['InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID', ...rows, ''].join('\n'))
  return surveyInvoiceFile(path)
}

async function open(): Promise<EmbeddedEngine> {
  const engine = await embedded({ path: ':memory:' }).open()
  await engine.topics.ensure(InvoiceReceived.topic, { partitions: 1 })
  return engine
}

const settingsOf = (file: InvoiceFile, repeat = 1): RunSettings => ({
  ordersSha256: file.sha256,
  repeat,
  stock: null,
  decline: 0,
  saga: 'choreography',
})

function run(engine: EmbeddedEngine, file: InvoiceFile, changes: Partial<ImportOptions> = {}): Promise<void> {
  return importOrders({
    engine,
    folder: 'the folder',
    file,
    settings: settingsOf(file),
    clock: systemClock,
    speed: null,
    unsettled: () => Promise.resolve(0),
    signal: new AbortController().signal,
    ...changes,
  })
}

async function idsOf(engine: EmbeddedEngine): Promise<string[]> {
  const ids: string[] = []
  for (let offset = 0; ; ) {
    const { records, nextOffset, latest } = await engine.topics.read({
      topic: InvoiceReceived.topic,
      partition: 0,
      offset,
    })
    for (const record of records) {
      if (record.kind === 'message') ids.push(dataOf(record.message).invoiceId)
    }
    offset = nextOffset
    if (offset >= latest) return ids
  }
}

function dataOf(message: Message): MessageOf<typeof InvoiceReceived>['data'] {
  return InvoiceReceived.read(message).data
}

/** Ids of so many invoices in so many passes. */
function numbers(count: number, passes = 1): string[] {
  return Array.from({ length: passes }, (_, pass) =>
    Array.from({ length: count }, (_, index) => `${536_365 + index}${pass === 0 ? '' : `-${pass + 1}`}`),
  ).flat()
}

describe('the import of orders', () => {
  it('hands over each invoice once, in the order of the file', async () => {
    await using engine = await open()
    const file = await fileOf(200)
    await run(engine, file)
    expect(await idsOf(engine)).toEqual(numbers(200))
    await run(engine, file)
    expect(await idsOf(engine)).toEqual(numbers(200))
  })

  it('gives fresh numbers to each pass', async () => {
    await using engine = await open()
    const file = await fileOf(3)
    await run(engine, file, { settings: settingsOf(file, 3) })
    expect(await idsOf(engine)).toEqual(numbers(3, 3))
  })

  it('goes on after the last commit, wherever it was stopped', async () => {
    await using engine = await open()
    const file = await fileOf(150)
    const settings = settingsOf(file, 4)
    const expected = numbers(150, 4)
    const outcomes = new Set<string>()
    for (let rounds = 1; (await idsOf(engine)).length < 600; rounds++) {
      const stop = new AbortController()
      // Stops in the middle of the batch that asks for the so-manieth time.
      let asked = 0
      const clock: Clock = {
        ...systemClock,
        monotonicMs: () => {
          asked += 1
          if (asked > rounds) stop.abort()
          return systemClock.monotonicMs()
        },
      }
      const outcome = await run(engine, file, { settings, clock, speed: 1_000_000, signal: stop.signal }).then(
        () => 'done',
        (error: Error) => error.name,
      )
      outcomes.add(outcome)
      expect(await idsOf(engine)).toEqual(expected.slice(0, (await idsOf(engine)).length))
    }
    expect([...outcomes]).toEqual(['AbortError', 'done'])
    expect(await idsOf(engine)).toEqual(expected)
  })

  it('refuses to go on with other settings, and says which', async () => {
    await using engine = await open()
    const file = await fileOf(3)
    await run(engine, file)
    const other = await fileOf(4)
    await expect(
      run(engine, other, { settings: { ...settingsOf(other, 2), stock: 50, decline: 0.2 } }),
    ).rejects.toThrow(
      'the folder belong to a run with other settings: --orders names a file with other contents; --repeat was 1 and is 2; --stock was unlimited and is 50; --decline was 0 and is 0.2',
    )
    expect(await idsOf(engine)).toEqual(numbers(3))
  })

  it('fails when another import writes to the same data', async () => {
    await using engine = await open()
    const file = await fileOf(500)
    const both = await Promise.allSettled([run(engine, file), run(engine, file)])
    const errors = both.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))
    expect(errors).toHaveLength(1)
    expect(errors[0]).toBeInstanceOf(RunMismatchError)
    expect(await idsOf(engine)).toEqual(numbers(500))
  })

  it('waits while too many invoices are not settled', async () => {
    await using engine = await open()
    const clock = new VirtualClock()
    let settled = 0
    const file = await fileOf(5_000)
    const importing = run(engine, file, { clock, unsettled: async () => (await idsOf(engine)).length - settled })
    for (settled of [0, 1_000, 2_500]) {
      await clock.advance('1s')
      // The file is read in real time; then the import sleeps, and what it committed arrives.
      await vi.waitUntil(() => clock.pendingTimerCount > 0, { timeout: 30_000 })
      await vi.waitUntil(async () => (await idsOf(engine)).length > settled + 1_936, {
        timeout: 30_000,
      })
      await clock.advance('1s')
      expect((await idsOf(engine)).length).toBeLessThanOrEqual(settled + 2_000)
    }
    settled = 5_000
    await clock.advance('1s')
    await importing
    expect(await idsOf(engine)).toEqual(numbers(5_000))
  })

  it('keeps its pace', async () => {
    await using engine = await open()
    const clock = new VirtualClock()
    const importing = run(engine, await fileOf(10), { clock, speed: 2 })
    for (const count of [1, 3, 5, 7, 9]) {
      // The file is read in real time, while the clock stands still: what is not due yet cannot come.
      await vi.waitUntil(async () => (await idsOf(engine)).length >= count, { timeout: 30_000 })
      await vi.waitUntil(() => clock.pendingTimerCount > 0, { timeout: 30_000 })
      expect(await idsOf(engine)).toHaveLength(count)
      await clock.advance('1s')
    }
    await importing
    expect(await idsOf(engine)).toHaveLength(10)
  })

  it('makes ids of numbers that are none', async () => {
    await using engine = await open()
    const path = join(folder, 'odd.csv')
    const rows = ['', '\t\u0001', 'x'.repeat(5_000), '536365'].map((number) => `${number},A,1,2010-12-01,2.55,`)
    writeFileSync(path, ['InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID', ...rows].join('\n'))
    await run(engine, await surveyInvoiceFile(path))
    const ids = await idsOf(engine)
    expect(ids.slice(0, 3).every((id) => /^unreadable-[0-9a-f]{12}$/.test(id))).toBe(true)
    expect(new Set(ids).size).toBe(4)
    expect(ids[3]).toBe('536365')
  })

  it('makes ids of lines where not even a number can be read', async () => {
    await using engine = await open()
    const path = join(folder, 'damaged.csv')
    const rows = ['\0,A,1,2010-12-01,2.55,', '\0,A,1,2010-12-01,2.55,', '536365,A,1,2010-12-01,2.55,']
    writeFileSync(path, ['InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID', ...rows].join('\n'))
    const file = await surveyInvoiceFile(path)
    await run(engine, file, { settings: settingsOf(file, 2) })
    expect(await idsOf(engine)).toEqual([
      'unreadable-line-2',
      'unreadable-line-3',
      '536365',
      'unreadable-line-2-2',
      'unreadable-line-3-2',
      '536365-2',
    ])
  })
})
