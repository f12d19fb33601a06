import type { OffsetRange, Progress } from './groups.ts'

/**
 * Offsets that are done: everything before `next`, and ranges after it. Ranges never touch each other or `next`.
 *
 * @example
 * ```ts
 * const set = new OffsetSet({ next: 5, done: [] })
 * set.add(7, 9)  // next 5, done 7–9
 * set.add(5, 7)  // next 9
 * ```
 */
export class OffsetSet {
  #next: number
  #ranges: { from: number; to: number }[]

  constructor(progress: Progress) {
    this.#next = progress.next
    this.#ranges = progress.done.map((range) => ({ from: range.from, to: range.to }))
  }

  /** Every offset before this one is done. */
  get next(): number {
    return this.#next
  }

  /** One past the highest offset that is done. */
  get end(): number {
    return this.#ranges.at(-1)?.to ?? this.#next
  }

  get ranges(): readonly OffsetRange[] {
    return this.#ranges
  }

  has(offset: number): boolean {
    if (offset < this.#next) return true
    return this.#ranges.some((range) => offset >= range.from && offset < range.to)
  }

  /** Adds offsets from `from` up to, not including, `to`. */
  add(from: number, to: number): void {
    if (to <= from || to <= this.#next) return
    if (from <= this.#next && this.#ranges.length === 0) {
      this.#next = to
      return
    }
    this.#insert(Math.max(from, this.#next), to)
    const first = this.#ranges[0]
    if (first !== undefined && first.from <= this.#next) {
      this.#next = first.to
      this.#ranges.shift()
    }
  }

  /** A copy that later changes do not reach. */
  snapshot(): Progress {
    return { next: this.#next, done: this.#ranges.map((range) => ({ from: range.from, to: range.to })) }
  }

  #insert(from: number, to: number): void {
    let start = this.#ranges.length
    while (start > 0 && (this.#ranges[start - 1] as OffsetRange).to >= from) start--
    let end = start
    let low = from
    let high = to
    while (end < this.#ranges.length && (this.#ranges[end] as OffsetRange).from <= to) {
      low = Math.min(low, (this.#ranges[end] as OffsetRange).from)
      high = Math.max(high, (this.#ranges[end] as OffsetRange).to)
      end++
    }
    this.#ranges.splice(start, end - start, { from: low, to: high })
  }
}
