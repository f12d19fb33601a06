import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it, vi } from 'vitest'
import { embedded } from '../../src/embedded/index.ts'
import { type Message, type MessageOf, type RunningApp, systemClock } from '../../src/index.ts'
import { SagaDesk } from '../../src/saga/index.ts'
import { GatewayDownError } from './errors.ts'
import { CustomerNotified, InvoiceReceived, StockRejected } from './events.ts'
import { countUnsettled } from './figures.ts'
import { type Gateway, PaymentGateway } from './gateway.ts'
import { shareOf } from './gateway-ledger.ts'
import { importOrders } from './import-orders.ts'
import { countOpenOrders, countStockViolations } from './inspection.ts'
import { surveyInvoiceFile } from './invoice-file.ts'
import { sagaKinds } from './saga-kind.ts'
import { shop } from './shop.ts'
import { customerKey, customerOrders, dailyRevenue, orderSummary } from './views.ts'
import { emptyWarehouse } from './warehouse.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-shop-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let ledgers = 0

function openGateway(declineShare = 0): Promise<PaymentGateway> {
  return PaymentGateway.open({ path: join(folder, `${ledgers++}.db`), clock: systemClock, declineShare })
}

/** An invoice of one row. */
function invoice(
  number: string,
  article: string,
  quantity: number,
  customer: string,
): MessageOf<typeof InvoiceReceived> {
  const columns = ['InvoiceNo', 'StockCode', 'Quantity', 'InvoiceDate', 'UnitPrice', 'CustomerID']
  const cells = [number, article, String(quantity), '2010-12-01 08:26:00', '2.55', customer]
  return InvoiceReceived({ invoiceId: number, number, columns, rows: [{ line: 2, cells }] })
}

/** All messages of a topic with two partitions. */
async function messagesIn(running: RunningApp, topic: string): Promise<Message[]> {
  const messages: Message[] = []
  for (const partition of [0, 1]) {
    const { records } = await running.engine.topics.read({ topic, partition, offset: 0 })
    for (const record of records) if (record.kind === 'message') messages.push(record.message)
  }
  return messages
}

async function textsOf(running: RunningApp): Promise<string[]> {
  const messages = await messagesIn(running, CustomerNotified.topic)
  return messages.map((message) => CustomerNotified.read(message).data.text).sort()
}

describe('the shop', () => {
  it.each(sagaKinds)('tells what became of each order, customer and day: %s', async (saga) => {
    await using gateway = await openGateway()
    await using running = await shop(gateway, { stock: 5, saga }).start({ engine: embedded({ path: ':memory:' }) })
    await running.publish([
      invoice('536365', 'HEART', 4, '17850'),
      invoice('536366', 'HEART', 2, '17850'),
      invoice('C536367', 'HEART', -3, '17850'),
      invoice('536368', 'HEART', 4, ''),
      invoice('536369', 'PLATE', -9, ''),
    ])
    await running.idle()
    const orders = await running.view(orderSummary).range()
    expect(orders.map(({ key, value }) => [key, value.status, value.reason, value.parcel, value.total])).toEqual([
      ['536365', 'shipped', null, 'P-536365', '10.2'],
      ['536366', 'cancelled', 'out of stock', null, '5.1'],
      // Four were left only because three came back before.
      ['536368', 'shipped', null, 'P-536368', '10.2'],
    ])
    const customers = await running.view(customerOrders).range()
    expect(customers.map(({ key }) => key)).toEqual(['17850'])
    expect(customers[0]?.value).toMatchObject({ placed: 2, confirmed: 1, cancelled: 1, spent: '10.2' })
    // His orders lie on different partitions, which are read in any order.
    expect(customers[0]?.value.newest.toSorted()).toEqual(['536365', '536366'])
    expect(await running.view(dailyRevenue).get('2010-12-01')).toEqual({
      placed: 3,
      confirmed: 2,
      cancelled: 1,
      returns: 1,
      stockAdjustments: 1,
      ordered: '25.5',
      revenue: '20.4',
      returned: '7.65',
    })
    expect(gateway.totals).toEqual({ charged: '25.5', refunded: '5.1', returned: '7.65' })
    expect(await textsOf(running)).toEqual([
      'We paid back £7.65.',
      'Your order 536365 is on its way: P-536365.',
      'Your order 536366 is cancelled: out of stock.',
      'Your order 536368 is on its way: P-536368.',
    ])
    expect([await countOpenOrders(running), await countStockViolations(running)]).toEqual([0, 0])
  })

  it.each(sagaKinds)('cancels an order whose payment is declined, and charges nothing: %s', async (saga) => {
    const number =
      Array.from({ length: 100 }, (_, index) => String(536_365 + index)).find((id) => shareOf(id) < 0.1) ?? ''
    await using gateway = await openGateway(0.1)
    await using running = await shop(gateway, { saga }).start({ engine: embedded({ path: ':memory:' }) })
    await running.publish(invoice(number, 'HEART', 4, '17850'))
    await running.idle()
    expect(await running.view(orderSummary).get(number)).toMatchObject({
      status: 'cancelled',
      reason: 'payment declined',
    })
    expect(gateway.totals).toEqual({ charged: '0', refunded: '0', returned: '0' })
  })

  it('says of an order that was called off by hand that it was withdrawn, and gives back what was charged', async () => {
    await using gateway = await openGateway()
    let isDown = false
    const down = (): Promise<never> => Promise.reject(new GatewayDownError('a test wants it so'))
    const unsteady: Gateway = {
      charge: (...call) => (isDown ? down() : gateway.charge(...call)),
      refund: (...call) => gateway.refund(...call),
      payout: (...call) => gateway.payout(...call),
    }
    const conducted = shop(unsteady, { stock: 8, saga: 'orchestration' })
    await using running = await conducted.start({ engine: embedded({ path: ':memory:' }) })
    const desk = new SagaDesk(running.engine, 'shop', 'checkout')
    const untilEnded = async (orderId: string): Promise<void> => {
      while ((await desk.get(orderId))?.status !== 'compensated') await running.idle()
    }
    await running.publish(invoice('536365', 'HEART', 4, '17850'))
    await running.idle()
    isDown = true
    await running.publish(invoice('536366', 'HEART', 2, '17850'))
    while ((await desk.get('536366')) === undefined) await running.idle()
    // One that is paid for, and one for which the gateway has not answered.
    await desk.tell('536365', { kind: 'compensate', reason: 'the customer called' })
    await desk.tell('536366', { kind: 'cancel', reason: 'out of stock' })
    await untilEnded('536365')
    await untilEnded('536366')
    isDown = false
    // The warehouse goes on with the order behind them.
    await running.publish(invoice('536368', 'HEART', 4, ''))
    await running.idle()
    const orders = await running.view(orderSummary).range()
    expect(orders.map(({ key, value }) => [key, value.status, value.reason])).toEqual([
      ['536365', 'cancelled', 'withdrawn'],
      ['536366', 'cancelled', 'withdrawn'],
      ['536368', 'shipped', null],
    ])
    expect(gateway.totals).toEqual({ charged: '20.4', refunded: '10.2', returned: '0' })
    expect(await countOpenOrders(running)).toBe(0)
  })

  it('takes further invoices in when more of them were parked and discarded than may wait', async () => {
    await using gateway = await openGateway()
    await using running = await shop(gateway).start({ engine: embedded({ path: ':memory:' }) })
    const path = join(folder, 'damaged.csv')
    const rows = Array.from({ length: 4_500 }, (_, index) => `damaged-${index},A,1,2010-12-01,2.55,`)
    writeFileSync(path, ['InvoiceNo,StockCode,Quantity,InvoiceDate,UnitPrice,CustomerID', ...rows].join('\n'))
    const file = await surveyInvoiceFile(path)
    const { engine } = running
    const settings = { ordersSha256: file.sha256, repeat: 1, stock: null, decline: 0, saga: 'choreography' } as const
    await importOrders({
      engine,
      folder,
      file,
      settings,
      clock: systemClock,
      speed: null,
      signal: AbortSignal.timeout(60_000),
      unsettled: async () => {
        await running.idle()
        await running.deadLetters.discard({ handler: 'shop.ordering.invoices' })
        await running.idle()
        return countUnsettled(running)
      },
    })
    await running.idle()
    const discarded = 4_500 - (await running.deadLetters.count())
    expect(discarded).toBeGreaterThan(2_000)
    expect(await countUnsettled(running)).toBe(0)
  })

  it('counts orders that are open while something is under way, and none when nothing is', async () => {
    const charged = Promise.withResolvers<void>()
    await using open = await openGateway()
    const gateway: Gateway = {
      charge: async (...call) => {
        await charged.promise
        return open.charge(...call)
      },
      refund: (...call) => open.refund(...call),
      payout: (...call) => open.payout(...call),
    }
    await using running = await shop(gateway).start({ engine: embedded({ path: ':memory:' }) })
    await running.publish(['536365', '536366', 'damaged'].map((number) => invoice(number, 'HEART', 1, '17850')))
    await vi.waitUntil(async () => (await running.deadLetters.count()) === 1)
    await vi.waitUntil(async () => (await countUnsettled(running)) === 2)
    charged.resolve()
    await running.idle()
    expect(await countUnsettled(running)).toBe(0)
  })

  it('remembers the newest ten orders of a customer', async () => {
    await using gateway = await openGateway()
    await using running = await shop(gateway).start({ engine: embedded({ path: ':memory:' }) })
    const numbers = Array.from({ length: 12 }, (_, index) => String(536_365 + index))
    await running.publish(numbers.map((number) => invoice(number, 'HEART', 1, '17850')))
    await running.idle()
    const customer = await running.view(customerOrders).get('17850')
    expect(customer).toMatchObject({ placed: 12, confirmed: 12, spent: '30.6' })
    expect(customer?.newest).toHaveLength(10)
  })

  it.each(sagaKinds)('comes to an end with orders of any length: %s', async (saga) => {
    await using gateway = await openGateway()
    await using running = await shop(gateway, { stock: 1, saga }).start({ engine: embedded({ path: ':memory:' }) })
    const { columns } = invoice('536365', 'HEART', 1, '17850').data
    const long = '"'.repeat(500_000)
    const many = Array.from({ length: 30_000 }, (_, index) => [`${index}`, '17850'])
    const invoices = [many, [[long, '17850']], [['HEART', long]]].map((lines, index) => {
      const number = String(536_365 + index)
      const rows = lines.map(([article = '', customer = ''], row) => ({
        line: row + 2,
        cells: [number, article, '2', '2010-12-01', '2.55', customer],
      }))
      return InvoiceReceived({ invoiceId: number, number, columns, rows })
    })
    await running.publish([...invoices, invoice('536368', 'HEART', 1, long)])
    await running.idle()
    const orders = await running.view(orderSummary).range()
    expect(orders.map(({ value: { status, reason } }) => [status, reason])).toEqual([
      ['cancelled', 'out of stock'],
      ['cancelled', 'out of stock'],
      ['cancelled', 'out of stock'],
      ['shipped', null],
    ])
    expect(await running.view(customerOrders).get('17850')).toMatchObject({ placed: 2, cancelled: 2 })
    expect(await running.view(customerOrders).get(customerKey(long))).toMatchObject({ cancelled: 1, confirmed: 1 })
    expect(await running.deadLetters.count()).toBe(0)
    const rejections = (await messagesIn(running, StockRejected.topic)).filter(({ type }) => type === 'StockRejected')
    const told = rejections.map((message) => StockRejected.read(message).data)
    const counts = Object.fromEntries(
      told.map(({ orderId, ...data }) => [orderId, [data.articles, data.missing.length]]),
    )
    expect(counts).toEqual({ '536365': [30_000, 100], '536366': [1, 0], '536367': [1, 1] })
  })

  it.each(sagaKinds)('keeps an order open while the gateway is down: %s', async (saga) => {
    const gateway = await openGateway()
    await gateway.close()
    await using running = await shop(gateway, { saga }).start({
      engine: embedded({ path: ':memory:' }),
      stopTimeout: 0,
    })
    await running.publish(invoice('536365', 'HEART', 4, '17850'))
    await vi.waitUntil(async () => (await countOpenOrders(running)) === 1, { timeout: 30_000 })
    expect(await running.view(orderSummary).get('536365')).not.toMatchObject({ status: 'shipped' })
  })

  it('would notice a warehouse that sold what it did not have', async () => {
    await using gateway = await openGateway()
    await using running = await shop(gateway, { stock: 5 }).start({ engine: embedded({ path: ':memory:' }) })
    await running.publish(invoice('536365', 'HEART', 4, '17850'))
    await running.idle()
    const namespace = 'state:shop.inventory.warehouse'
    // The books of the inspection are those of the handler.
    expect(await running.engine.state.get(namespace, 'warehouse')).toBeDefined()
    const value = { ...emptyWarehouse(5), waiting: [], racks: ['{"#HEART":-1}'] }
    await running.engine.commit({ state: [{ kind: 'set', namespace, key: 'warehouse', value }] })
    expect(await countStockViolations(running)).toBe(1)
  })
})
