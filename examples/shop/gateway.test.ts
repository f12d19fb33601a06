import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { systemClock } from '../../src/index.ts'
import { GatewayDownError, GatewayTimeoutError } from './errors.ts'
import { PaymentGateway } from './gateway.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-gateway-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

let ledgers = 0

function open(options: { path?: string; decline?: number; flaky?: number } = {}): Promise<PaymentGateway> {
  return PaymentGateway.open({
    path: options.path ?? join(folder, `${ledgers++}.db`),
    clock: systemClock,
    declineShare: options.decline ?? 0,
    flakyShare: options.flaky ?? 0,
  })
}

/** Asks until there is an answer; returns how many calls timed out. */
async function insist(call: () => Promise<unknown>): Promise<number> {
  for (let timeouts = 0; ; timeouts++) {
    try {
      await call()
      return timeouts
    } catch (error) {
      if (!(error instanceof GatewayTimeoutError)) throw error
    }
  }
}

const orders = Array.from({ length: 300 }, (_, index) => `${536_365 + index}`)

describe('the payment gateway', () => {
  it('carries out each key once, also when asked at the same time', async () => {
    await using gateway = await open()
    const options = { idempotencyKey: 'k1' }
    const replies = await Promise.all([
      gateway.charge('536365', '10.005', options),
      gateway.charge('536365', '10.005', options),
    ])
    expect(await gateway.charge('536365', '10.005', options)).toEqual({ accepted: true, amount: '10.005' })
    expect(replies).toEqual(Array(2).fill({ accepted: true, amount: '10.005' }))
    expect(gateway.totals.charged).toBe('10.005')
  })

  it('charges again for another key: without a stable key a customer pays twice', async () => {
    await using gateway = await open()
    await gateway.charge('536365', '10', { idempotencyKey: 'first attempt' })
    await gateway.charge('536365', '10', { idempotencyKey: 'second attempt' })
    expect(gateway.totals.charged).toBe('20')
  })

  it('gives back what it captured for an order, once per key', async () => {
    await using gateway = await open()
    await gateway.charge('536365', '10.50', { idempotencyKey: 'charge' })
    const refund = { accepted: true, amount: '10.5' }
    expect(await gateway.refund('536365', { idempotencyKey: 'refund' })).toEqual(refund)
    expect(await gateway.refund('536365', { idempotencyKey: 'refund' })).toEqual(refund)
    expect(await gateway.refund('536366', { idempotencyKey: 'of nothing' })).toEqual({ accepted: true, amount: '0' })
    await gateway.payout('C536365', '3', { idempotencyKey: 'return' })
    expect(gateway.totals).toEqual({ charged: '10.5', refunded: '10.5', returned: '3' })
  })

  it('declines about the share asked for, the same orders each time, and captures nothing for them', async () => {
    const declined = async (): Promise<string[]> => {
      await using gateway = await open({ decline: 0.2 })
      const replies = await Promise.all(orders.map((id) => gateway.charge(id, '1', { idempotencyKey: `key of ${id}` })))
      expect(gateway.totals.charged).toBe(String(replies.filter(({ accepted }) => accepted).length))
      return orders.filter((_, index) => replies[index]?.accepted === false)
    }
    const first = await declined()
    expect(first.length).toBeGreaterThan(30)
    expect(first.length).toBeLessThan(90)
    expect(await declined()).toEqual(first)
  })

  it('keeps its books when it is opened again', async () => {
    const path = join(folder, 'books.db')
    {
      await using gateway = await open({ path })
      await gateway.charge('536365', '10', { idempotencyKey: 'charge' })
    }
    await using gateway = await open({ path })
    expect(gateway.totals.charged).toBe('10')
    await gateway.charge('536365', '10', { idempotencyKey: 'charge' })
    expect(gateway.totals.charged).toBe('10')
  })

  it.each([0.3, 1])('times out, charged or not, but never for ever (%d)', async (flaky) => {
    await using gateway = await open({ flaky })
    const timeouts = await Promise.all(
      orders.map((id) => insist(() => gateway.charge(id, '1', { idempotencyKey: `key of ${id}` }))),
    )
    expect(gateway.totals.charged).toBe(String(orders.length))
    expect(Math.max(...timeouts)).toBeLessThanOrEqual(6)
    expect(timeouts.filter((count) => count > 0).length).toBeGreaterThan(orders.length * flaky * 0.7)
  })

  it('may have charged when it times out', async () => {
    await using gateway = await open({ flaky: 1 })
    let outcomes = ''
    for (const id of orders.slice(0, 30)) {
      const before = gateway.totals.charged
      await expect(gateway.charge(id, '1', { idempotencyKey: `key of ${id}` })).rejects.toBeInstanceOf(
        GatewayTimeoutError,
      )
      outcomes += gateway.totals.charged === before ? 'lost ' : 'charged '
    }
    expect(outcomes).toContain('lost')
    expect(outcomes).toContain('charged')
  })

  it('stops waiting when the caller gives up', async () => {
    await using gateway = await open({ flaky: 1 })
    const signal = AbortSignal.abort(new RangeError('enough'))
    const calls = orders.slice(0, 20).map((id) => gateway.charge(id, '1', { idempotencyKey: id, signal }))
    const reasons = (await Promise.allSettled(calls)).map((call) =>
      call.status === 'rejected' ? (call.reason as unknown) : undefined,
    )
    expect(reasons.every((reason) => reason instanceof RangeError)).toBe(true)
  })

  it('says that it is down when its ledger cannot be opened, or after it was closed', async () => {
    await expect(open({ path: join(folder, 'no', 'folder.db') })).rejects.toBeInstanceOf(GatewayDownError)
    const gateway = await open()
    await gateway.close()
    await gateway.close()
    await expect(gateway.charge('536365', '1', { idempotencyKey: 'late' })).rejects.toBeInstanceOf(GatewayDownError)
  })
})
