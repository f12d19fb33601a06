import { hash } from 'node:crypto'
import type { Engine } from '../../src/engine/index.ts'
import { type Clock, sleep } from '../../src/index.ts'
import { RunMismatchError } from './errors.ts'
import { InvoiceReceived } from './events.ts'
import { type InvoiceFile, type RawInvoice, readInvoices } from './invoice-file.ts'
import { invoiceNumberPattern } from './row-counts.ts'
import type { SagaKind } from './saga-kind.ts'

/** Everything that decides what the figures of a run will be. */
export interface RunSettings {
  /** SHA-256 of the orders file. */
  readonly ordersSha256: string
  readonly repeat: number
  readonly stock: number | null
  readonly decline: number
  readonly saga: SagaKind
}

/** How far the import of a data folder is. */
interface ImportPosition {
  readonly settings: RunSettings
  /** Invoices that were handed to the shop, over all passes through the file. */
  readonly invoices: number
}

/** How to import. */
export interface ImportOptions {
  readonly engine: Engine
  /** Named in errors. */
  readonly folder: string
  readonly file: InvoiceFile
  readonly settings: RunSettings
  readonly clock: Clock
  /** Invoices a second; `null`: as fast as the shop takes them. */
  readonly speed: number | null
  /** How many invoices the shop still has something to do with. */
  readonly unsettled: () => Promise<number>
  readonly signal: AbortSignal
}

const namespace = 'shop-import'
const positionKey = 'position'

/** Invoices in one commit. */
const batchInvoicesMax = 64
/** Characters in one commit, so that invoices with many rows make smaller batches. */
const batchCharsMax = 262_144
/** Commits on their way to the disk. */
const commitsInFlightMax = 4
/** Passes through a file up to this size keep its invoices in memory instead of parsing it again, in bytes. */
const keptFileBytesMax = 8_388_608
/** The import waits while more invoices than this are not settled: a bounded queue before the shop. */
const unsettledMax = 2_000
/** How often it looks while it waits, in milliseconds. */
const unsettledPauseMs = 10
/** How long it goes on at its pace between two commits, in milliseconds. */
const paceTickMs = 50

/**
 * Checks that a data folder is fresh or belongs to a run with these settings, and returns how many invoices it has.
 *
 * @throws RunMismatchError `SHOP_RUN_MISMATCH`
 */
export async function importedCount(engine: Engine, folder: string, settings: RunSettings): Promise<number> {
  const entry = await engine.state.get(namespace, positionKey)
  if (entry === undefined) return 0
  const position = entry.value as unknown as ImportPosition
  const differences = differencesBetween(position.settings, settings)
  if (differences.length > 0) throw new RunMismatchError(folder, differences)
  return position.invoices
}

/**
 * Hands the invoices of a file to the shop, exactly once each.
 *
 * The position in the file is committed together with the events, so a killed import goes on after the last invoice
 * that reached the disk. It never runs further ahead of the shop than a bound, so nothing piles up.
 *
 * @throws RunMismatchError `SHOP_RUN_MISMATCH`, OrdersFileError `SHOP_ORDERS_FILE`; the signal's reason when it aborts
 */
export async function importOrders(options: ImportOptions): Promise<void> {
  const { engine, folder, settings, clock, signal } = options
  let invoices = await importedCount(engine, folder, settings)
  let revision = (await engine.state.get(namespace, positionKey))?.revision ?? 0
  /** Invoices that may be handed over before the shop is asked again. */
  let room = 0
  const inFlight: Promise<void>[] = []
  const pace = new Pace(options)
  try {
    for await (const batch of batches(options, invoices, pace.batchInvoicesMax)) {
      await pace.wait(batch.length)
      // Counting costs more than a batch, so it is done only when the last count does not let this one pass.
      while (room < batch.length) {
        // What is on its way is not counted.
        await Promise.all(inFlight)
        inFlight.length = 0
        room = unsettledMax - (await options.unsettled())
        if (room < batch.length) await sleep(unsettledPauseMs, clock, signal)
      }
      room -= batch.length
      signal.throwIfAborted()
      invoices += batch.length
      inFlight.push(commitBatch(options, batch, invoices, revision))
      revision += 1
      if (inFlight.length >= commitsInFlightMax) await inFlight.shift()
    }
  } finally {
    // Whatever ended the loop: nothing may still be on its way, and no failure may go unseen.
    await Promise.allSettled(inFlight)
  }
  await Promise.all(inFlight)
}

/** Each commit names the revision that the one before left, so two imports at once cannot both write. */
async function commitBatch(
  { engine, folder, settings }: ImportOptions,
  batch: readonly NumberedInvoice[],
  invoices: number,
  revision: number,
): Promise<void> {
  const position: ImportPosition = { settings, invoices }
  const outcome = await engine.commit({
    publish: [{ topic: InvoiceReceived.topic, messages: batch.map(messageOf) }],
    state: [
      {
        kind: 'set',
        namespace,
        key: positionKey,
        value: { settings: { ...position.settings }, invoices },
        expectedRevision: revision,
      },
    ],
  })
  if (!outcome.ok) throw new RunMismatchError(folder, ['another import wrote to it meanwhile'])
}

/** An invoice with the number of the pass in which it was read, from 1. */
interface NumberedInvoice {
  readonly pass: number
  readonly raw: RawInvoice
}

function messageOf({ pass, raw }: NumberedInvoice): ReturnType<typeof InvoiceReceived> {
  const rows = raw.rows.map((row) => ({ ...row, cells: [...row.cells] }))
  const id = idOf(raw)
  const invoiceId = pass === 1 ? id : `${id}-${pass}`
  return InvoiceReceived({ invoiceId, number: raw.number, columns: [...raw.columns], rows })
}

function idOf({ number, rows }: RawInvoice): string {
  if (number === null) return `unreadable-line-${rows[0]?.line}`
  // What is no number may hold anything, and an id is part of the envelope, which does not take control characters.
  return invoiceNumberPattern.test(number) ? number : `unreadable-${hash('sha256', number).slice(0, 12)}`
}

/** All invoices of all passes but the first `skipped`, in batches. */
async function* batches(
  { file, settings }: ImportOptions,
  skipped: number,
  invoicesMax: number,
): AsyncGenerator<readonly NumberedInvoice[]> {
  const firstPass = file.invoiceCount === 0 ? settings.repeat + 1 : Math.floor(skipped / file.invoiceCount) + 1
  let toSkip = file.invoiceCount === 0 ? 0 : skipped % file.invoiceCount
  let kept: RawInvoice[] | undefined
  let batch: NumberedInvoice[] = []
  let chars = 0
  for (let pass = firstPass; pass <= settings.repeat; pass++) {
    if (pass < settings.repeat && file.bytes <= keptFileBytesMax) kept ??= await Array.fromAsync(readInvoices(file))
    for await (const raw of kept ?? readInvoices(file)) {
      if (toSkip > 0) {
        toSkip -= 1
        continue
      }
      batch.push({ pass, raw })
      chars += charsOf(raw)
      if (batch.length < invoicesMax && chars < batchCharsMax) continue
      yield batch
      batch = []
      chars = 0
    }
  }
  if (batch.length > 0) yield batch
}

function charsOf(raw: RawInvoice): number {
  let chars = 0
  for (const { cells } of raw.rows) for (const cell of cells) chars += cell.length
  return chars
}

/** Spreads invoices over time. */
class Pace {
  readonly #options: ImportOptions
  readonly #startMs: number
  #count = 0

  constructor(options: ImportOptions) {
    this.#options = options
    this.#startMs = options.clock.monotonicMs()
  }

  /** A slow pace commits each invoice when its time has come; a fast one those of a short while together. */
  get batchInvoicesMax(): number {
    const { speed } = this.#options
    if (speed === null) return batchInvoicesMax
    return Math.min(batchInvoicesMax, Math.max(1, Math.floor((speed * paceTickMs) / 1000)))
  }

  async wait(invoices: number): Promise<void> {
    const { speed, clock, signal } = this.#options
    if (speed === null) return
    const dueMs = this.#startMs + (this.#count * 1000) / speed
    this.#count += invoices
    const leftMs = dueMs - clock.monotonicMs()
    if (leftMs > 0) await sleep(leftMs, clock, signal)
  }
}

function differencesBetween(was: RunSettings, is: RunSettings): string[] {
  const shown = (value: number | null): string => (value === null ? 'unlimited' : String(value))
  const differences: string[] = []
  if (was.ordersSha256 !== is.ordersSha256) differences.push('--orders names a file with other contents')
  if (was.repeat !== is.repeat) differences.push(`--repeat was ${was.repeat} and is ${is.repeat}`)
  if (was.stock !== is.stock) differences.push(`--stock was ${shown(was.stock)} and is ${shown(is.stock)}`)
  if (was.decline !== is.decline) differences.push(`--decline was ${was.decline} and is ${is.decline}`)
  if (was.saga !== is.saga) differences.push(`--saga was ${was.saga} and is ${is.saga}`)
  return differences
}
