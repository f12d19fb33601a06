import type { EngineSource } from '../../src/engine/index.ts'
import { type Clock, type RunningApp, sleep } from '../../src/index.ts'
import { booksPath, claimFolder, isNewFolder } from './data-folder.ts'
import { RunLeftOverError } from './errors.ts'
import { brokenPromises, countEvents, countUnsettled, type Figures, readEventCount, readFigures } from './figures.ts'
import { PaymentGateway } from './gateway.ts'
import { importedCount, importOrders, type RunSettings } from './import-orders.ts'
import { isConducting } from './inspection.ts'
import { type InvoiceFile, surveyInvoiceFile } from './invoice-file.ts'
import { LiveSummary } from './live-summary.ts'
import type { ShopOptions } from './options.ts'
import { shop } from './shop.ts'
import { WorkerProcesses, workerSessionTimeout } from './worker-processes.ts'

/** How often it looks whether sagas still have something to do, in milliseconds. */
const conductingPauseMs = 20

/** What a run takes from outside. */
export interface RunOptions {
  readonly options: ShopOptions
  /** Folder for the gateway's books; named in errors. */
  readonly folder: string
  readonly engine: EngineSource
  /** Where the data are, for people. Default: the folder. */
  readonly place?: string
  readonly clock: Clock
  /** Where everything goes that is not the result. */
  readonly log: NodeJS.WriteStream
  /** Stops the run. */
  readonly signal: AbortSignal
}

/** How a run ended. */
export interface RunOutcome {
  /** `null`: it was stopped before it was done. */
  readonly figures: Figures | null
  /** Promises of the shop that do not hold; always empty in a shop that works. */
  readonly broken: readonly string[]
}

/**
 * Runs the shop on an orders file: to its end with `once`, else until the signal aborts.
 *
 * @throws RunMismatchError `SHOP_RUN_MISMATCH`, RunLeftOverError `SHOP_RUN_LEFT_OVER`, OrdersFileError `SHOP_ORDERS_FILE`, GatewayDownError `SHOP_GATEWAY_DOWN`, and
 *   what the engine throws
 */
export async function runShop(run: RunOptions): Promise<RunOutcome> {
  const { options, clock, folder } = run
  const startedMs = clock.monotonicMs()
  const file = await surveyInvoiceFile(options.orders)
  const settings: RunSettings = {
    ordersSha256: file.sha256,
    repeat: options.repeat,
    stock: options.stock,
    decline: options.decline,
    saga: options.saga,
  }
  const isNew = isNewFolder(folder, options.deployment)
  await using engine = await run.engine.open({ clock })
  const imported = await importedCount(engine, folder, settings)
  // Its orders would meet the empty books of a new gateway.
  if (isNew && imported > 0) throw new RunLeftOverError(folder, run.place ?? folder)
  claimFolder(folder, options.deployment)
  const eventsBefore = await readEventCount({ engine })
  await using gateway = await PaymentGateway.open({
    path: booksPath(folder),
    clock,
    declineShare: options.decline,
    flakyShare: options.flaky,
  })
  await using running = await shop(gateway, options).start({
    engine,
    clock,
    ...(options.workers > 1 && { sessionTimeout: workerSessionTimeout }),
  })
  const { deployment, stock, saga } = options
  await using workers = new WorkerProcesses(options.workers - 1, { deployment, folder, stock, saga }, gateway, clock)
  const done = await whileShown(run, running, file, imported, async (tell) => {
    const imports = importAll(run, running, file, settings)
    // A shop that failed ends its imports too, and the first that went wrong is what is told.
    imports.catch(() => undefined)
    const all = await Promise.race([imports, running.failed, workers.down])
    if (all && !options.once) {
      tell(`All invoices are in. Ctrl-C stops the shop; delete ${run.place ?? folder} to start afresh.`)
      await Promise.race([untilAborted(run.signal), running.failed, workers.down])
    }
    return all
  })
  if (options.once && !done) return { figures: null, broken: [] }
  const timing = { elapsedMs: clock.monotonicMs() - startedMs, eventsBefore }
  const figures = await readFigures(running, gateway.totals, timing)
  return { figures, broken: options.once ? await brokenPromises(running, gateway.totals) : [] }
}

/** Imports what is left and waits until all of it is handled. `false`: the signal came first. */
async function importAll(
  { options, folder, clock, signal }: RunOptions,
  running: RunningApp,
  file: InvoiceFile,
  settings: RunSettings,
): Promise<boolean> {
  try {
    await importOrders({
      engine: running.engine,
      folder,
      file,
      settings,
      clock,
      speed: options.speed,
      unsettled: () => countUnsettled(running),
      signal,
    })
    await untilDone(running, clock, signal)
    return true
  } catch (error) {
    if (signal.aborted) return false
    throw error
  }
}

/**
 * Waits until everything is handled and every saga is done. The app is idle too while a saga is at a step or will try it again.
 * What the last saga published as it ended may still be on its way to the topics when it is seen to be done: the second wait
 * is for that, and the events that it brought are seen in the next round.
 */
async function untilDone(running: RunningApp, clock: Clock, signal: AbortSignal): Promise<void> {
  for (let eventsBefore = -1; ; ) {
    await running.idle({ signal })
    const conducting = await isConducting(running)
    await running.idle({ signal })
    const events = await countEvents(running)
    if (!conducting && events === eventsBefore) return
    eventsBefore = events
    await sleep(conductingPauseMs, clock, signal)
  }
}

function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
}

/** Does something while the live summary is shown, if anybody looks: a script that runs the shop once wants silence. */
async function whileShown<Result>(
  { options, folder, place = folder, clock, log }: RunOptions,
  running: RunningApp,
  file: InvoiceFile,
  imported: number,
  work: (tell: (text: string) => void) => Promise<Result>,
): Promise<Result> {
  if (options.once && !log.isTTY) return work(() => undefined)
  const invoiceCount = file.invoiceCount * options.repeat
  const begins = imported === 0 ? 'starts with' : `goes on after ${imported} of`
  const pace = options.speed === null ? '' : `, ${options.speed} a second`
  log.write(`The shop ${begins} ${invoiceCount} invoices${pace}. Ctrl-C stops it. Its data are in ${place}.\n`)
  const live = new AbortController()
  const hasColors = log.isTTY && log.hasColors()
  const summary = new LiveSummary({ running, clock, output: log, invoiceCount, hasColors })
  const showing = summary.show(live.signal).catch((error: Error) => {
    // A picture that cannot be drawn is no reason to stop selling; and a shop that failed tells of that itself.
    if (!live.signal.aborted) log.write(`The live summary stopped: ${error.message}\n`)
  })
  try {
    return await work((text) => summary.note(text))
  } finally {
    live.abort()
    await showing
    // Whatever is printed next is no part of the picture.
    if (log.isTTY) log.write('\n')
  }
}
