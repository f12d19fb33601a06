import type { Engine } from '../../src/engine/index.ts'
import type { RunningApp, SagaStatus } from '../../src/index.ts'
import { countViolations, type Warehouse } from './warehouse.ts'

// What an operator may look at and a service may not: the state of handlers, which the runtime keeps under
// `state:<app>.<service>.<handler>` and `saga:<app>.<saga>`, and the dead letters.

const pageSize = 1_000

/** Orders that ordering still follows, or a saga conducts: neither confirmed nor cancelled. */
export async function countOpenOrders({ engine }: RunningApp): Promise<number> {
  let count = await engine.state.count('state:shop.ordering.orders')
  for await (const { status } of sagas(engine)) if (!endings.includes(status)) count += 1
  return count
}

/**
 * Whether a saga is at a step, in whatever process, or will try something again by itself; one that is parked, or waits for an
 * event, waits for others.
 */
export async function isConducting({ engine }: RunningApp): Promise<boolean> {
  for await (const { status, wakeMs, entries } of sagas(engine)) {
    if (status === 'compensating') return true
    if (status === 'running' && (wakeMs !== undefined || entries.some(isOpenStep))) return true
  }
  return false
}

function isOpenStep({ op, state }: Conducted['entries'][number]): boolean {
  return op === 'step' && (state === 'begun' || state === 'retrying')
}

const endings: readonly SagaStatus[] = ['completed', 'compensated']

/** What is read of an instance: how it stands, when it does something by itself, and its journal. */
interface Conducted {
  readonly status: SagaStatus
  readonly wakeMs?: number
  readonly entries: readonly { readonly op: string; readonly state?: string }[]
}

async function* sagas(engine: Engine): AsyncGenerator<Conducted> {
  for (let after: string | undefined; ; ) {
    const page = await engine.state.range('saga:shop.checkout', {
      limit: pageSize,
      ...(after !== undefined && { after }),
    })
    for (const { value } of page) yield value as unknown as Conducted
    after = page.at(-1)?.key
    if (page.length < pageSize) return
  }
}

/** Articles with less than nothing on their shelves; 0 where stock never runs out. */
export async function countStockViolations({ engine }: RunningApp): Promise<number> {
  const entry = await engine.state.get('state:shop.inventory.warehouse', 'warehouse')
  return entry === undefined ? 0 : countViolations(entry.value as unknown as Warehouse)
}

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
