import { hash } from 'node:crypto'
import { OrdersFileError } from './errors.ts'

/** What an invoice number looks like: six digits, or `C` and six digits. */
export const invoiceNumberPattern: RegExp = /^C?\d{6}$/

/** More different unreadable numbers than this, and the file is something else. */
const oddNumbersMax = 100_000

/** Rows per invoice number, in bounded memory. */
export class RowCounts {
  readonly #path: string
  /** Six digits: 0 to 999,999; with `C`: 1,000,000 more. */
  readonly #counts = new Uint32Array(2_000_000)
  readonly #odd = new Map<string, number>()
  invoiceCount = 0
  rowCount = 0

  constructor(path: string) {
    this.#path = path
  }

  /** `null`: a row that is an invoice by itself. */
  add(number: string | null): void {
    this.rowCount += 1
    if (number === null || this.of(number) === 0) this.invoiceCount += 1
    if (number === null) return
    const slot = slotOf(number)
    if (slot >= 0) {
      this.#counts[slot] = (this.#counts[slot] ?? 0) + 1
      return
    }
    const key = keyOf(number)
    this.#odd.set(key, (this.#odd.get(key) ?? 0) + 1)
    if (this.#odd.size > oddNumbersMax) {
      throw new OrdersFileError(this.#path, `it has more than ${oddNumbersMax} different invoice numbers that are none`)
    }
  }

  of(number: string): number {
    const slot = slotOf(number)
    return (slot >= 0 ? this.#counts[slot] : this.#odd.get(keyOf(number))) ?? 0
  }
}

function slotOf(number: string): number {
  if (!invoiceNumberPattern.test(number)) return -1
  return number.length === 7 ? 1_000_000 + Number(number.slice(1)) : Number(number)
}

/** A number that is none may be as long as a row: then its hash stands for it. */
function keyOf(number: string): string {
  return number.length <= 64 ? number : hash('sha256', number)
}
