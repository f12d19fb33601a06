/** The outside world: a warehouse and a payment gateway. Both take idempotency keys, as real ones do. */
export class Outside {
  readonly stock: Map<string, number> = new Map([
    ['lamp', 3],
    ['mug', 9],
  ])
  readonly #reserved = new Map<string, string | undefined>()
  readonly #charged = new Map<string, string | undefined>()

  /** Takes one from the shelf; `false`: there is none. */
  reserve(key: string, item: string): boolean {
    if (!this.#reserved.has(key)) {
      const left = this.stock.get(item) ?? 0
      if (left > 0) this.stock.set(item, left - 1)
      this.#reserved.set(key, left > 0 ? item : undefined)
    }
    return this.#reserved.get(key) !== undefined
  }

  /** Puts back what was taken under a key, if anything was. */
  release(key: string): void {
    const item = this.#reserved.get(key)
    if (item !== undefined) this.stock.set(item, (this.stock.get(item) ?? 0) + 1)
    this.#reserved.set(key, undefined)
  }

  /** Charges a card; `undefined`: it was declined. */
  charge(key: string, card: string): string | undefined {
    if (!this.#charged.has(key))
      this.#charged.set(key, card === 'bad' ? undefined : `receipt ${this.#charged.size + 1}`)
    return this.#charged.get(key)
  }

  refund(key: string): void {
    this.#charged.set(key, undefined)
  }
}
