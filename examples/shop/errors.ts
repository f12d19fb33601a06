import { MillraceError } from '../../src/index.ts'

/** One row of an orders file that cannot be read, and why. */
export interface RowProblem {
  /** Line of the file, the header being line 1. */
  readonly line: number
  readonly reason: string
}

/** An invoice with at least one row that cannot be read. It goes to the dead letters as a whole. */
export class InvoiceUnreadableError extends MillraceError<
  'SHOP_INVOICE_UNREADABLE',
  { readonly number: string | null; readonly problems: readonly RowProblem[] }
> {
  /** `number` is `null` where not even that can be read. */
  constructor(number: string | null, problems: readonly RowProblem[]) {
    super({
      code: 'SHOP_INVOICE_UNREADABLE',
      problem: `${nameOf(number)} cannot be read: ${reasonsOf(problems)}.`,
      remedy: 'Correct these rows in the orders file and import them anew.',
      details: { number, problems },
    })
  }
}

function nameOf(number: string | null): string {
  if (number === null) return 'An invoice without a readable number'
  return `Invoice ${JSON.stringify(number.length > 40 ? `${number.slice(0, 40)}…` : number)}`
}

/** A dead letter keeps no longer text than a good 16,000 characters: what is cut off shall at least be counted. */
const reasonsCharsMax = 15_000

function reasonsOf(problems: readonly RowProblem[]): string {
  let text = ''
  for (const [index, { line, reason }] of problems.entries()) {
    const next = `${index === 0 ? '' : '; '}line ${line}: ${reason}`
    if (text.length + next.length > reasonsCharsMax) return `${text}; and ${problems.length - index} more rows`
    text += next
  }
  return text
}

/** A file that is no orders file, or that cannot be read to its end. */
export class OrdersFileError extends MillraceError<'SHOP_ORDERS_FILE', { readonly path: string }> {
  constructor(path: string, problem: string, options?: ErrorOptions) {
    super(
      {
        code: 'SHOP_ORDERS_FILE',
        problem: `The orders file ${path} cannot be used: ${problem}.`,
        remedy:
          'Give a CSV file in UTF-8 whose first line names InvoiceNo, StockCode, Quantity, InvoiceDate, UnitPrice and CustomerID.',
        details: { path },
      },
      options,
    )
  }
}

/** A data folder whose orders were started with other settings, so that going on would mix two runs. */
export class RunMismatchError extends MillraceError<
  'SHOP_RUN_MISMATCH',
  { readonly folder: string; readonly differences: readonly string[] }
> {
  constructor(folder: string, differences: readonly string[]) {
    super({
      code: 'SHOP_RUN_MISMATCH',
      problem: `The data in ${folder} belong to a run with other settings: ${differences.join('; ')}.`,
      remedy:
        'Start with the same settings to go on with that run, name another folder with --data, or begin again with --afresh.',
      details: { folder, differences },
    })
  }
}

/** A data folder that is new, while the servers hold the orders of an earlier one with the same path. */
export class RunLeftOverError extends MillraceError<
  'SHOP_RUN_LEFT_OVER',
  { readonly folder: string; readonly place: string }
> {
  constructor(folder: string, place: string) {
    super({
      code: 'SHOP_RUN_LEFT_OVER',
      problem: `The folder ${folder} is new, but orders of an earlier run in a folder of that name are left (${place}).`,
      remedy: 'Remove them by starting with --afresh, or name another folder with --data.',
      details: { folder, place },
    })
  }
}

/** The payment gateway did not answer in time. Whether it did what it was asked is unknown: ask again with the same key. */
export class GatewayTimeoutError extends MillraceError<'SHOP_GATEWAY_TIMEOUT', { readonly key: string }> {
  constructor(key: string) {
    super({
      code: 'SHOP_GATEWAY_TIMEOUT',
      problem: 'The payment gateway did not answer in time.',
      remedy: 'Ask again with the same idempotency key.',
      details: { key },
    })
  }
}

/** The payment gateway is down: its ledger failed, or it was closed. */
export class GatewayDownError extends MillraceError<'SHOP_GATEWAY_DOWN', { readonly reason: string }> {
  constructor(reason: string, options?: ErrorOptions) {
    super(
      {
        code: 'SHOP_GATEWAY_DOWN',
        problem: `The payment gateway is down: ${reason}.`,
        remedy: 'Look at the disk that holds its ledger, then start the shop again.',
        details: { reason },
      },
      options,
    )
  }
}

/** Worker processes die as often as they are started. */
export class WorkerDownError extends MillraceError<'SHOP_WORKER_DOWN', { readonly reason: string }> {
  constructor(reason: string) {
    super({
      code: 'SHOP_WORKER_DOWN',
      problem: `A worker process does not stay alive: ${reason}.`,
      remedy: 'What it wrote before it ended says why; mend that, then start the shop again: it goes on where it was.',
      details: { reason },
    })
  }
}

/** A data folder that cannot be made or written to. */
export class DataFolderError extends MillraceError<'SHOP_DATA_FOLDER', { readonly folder: string }> {
  constructor(folder: string, options: ErrorOptions & { readonly cause: Error }) {
    super(
      {
        code: 'SHOP_DATA_FOLDER',
        problem: `The data folder ${folder} cannot be used: ${options.cause.message}.`,
        remedy: 'Name a folder with --data that you may write to.',
        details: { folder },
      },
      options,
    )
  }
}

/** A deployment needs a server, and nobody said where it is. */
export class ServerUnnamedError extends MillraceError<
  'SHOP_SERVER_UNNAMED',
  { readonly deployment: string; readonly variable: string }
> {
  constructor(deployment: string, variable: string) {
    super({
      code: 'SHOP_SERVER_UNNAMED',
      problem: `The deployment ${deployment} needs a server, and ${variable} does not say where it is.`,
      remedy: `Set ${variable}; "npm run servers -- up ${variable === 'DATABASE_URL' ? 'postgres' : 'kafka'}" starts one here and prints its address.`,
      details: { deployment, variable },
    })
  }
}
