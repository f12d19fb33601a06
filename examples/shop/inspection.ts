import type { RunningApp } from '../../src/index.ts'
import { countViolations, type Warehouse } from './warehouse.ts'

// What an operator may look at and a service may not: the state of handlers, which the runtime keeps under
// `state:<app>.<service>.<handler>`, and the dead letters.

/** Orders that ordering still follows: neither confirmed nor cancelled. */
export function countOpenOrders({ engine }: RunningApp): Promise<number> {
  return engine.state.count('state:shop.ordering.orders')
}

/** Articles with less than nothing on their shelves; 0 where stock never runs out. */
export async function countStockViolations({ engine }: RunningApp): Promise<number> {
  const entry = await engine.state.get('state:shop.inventory.warehouse', 'warehouse')
  return entry === undefined ? 0 : countViolations(entry.value as unknown as Warehouse)
}

const pageSize = 1_000

/** Invoices that ordering could not read. */
export async function countParkedInvoices({ deadLetters }: RunningApp): Promise<number> {
  let count = 0
  for (let after: string | undefined; ; ) {
    const page = await deadLetters.list({
      handler: 'shop.ordering.invoices',
      limit: pageSize,
      ...(after !== undefined && { after }),
    })
    count += page.length
    after = page.at(-1)?.id
    if (page.length < pageSize) return count
  }
}
