import Big from 'big.js'

/**
 * An exact amount of pounds sterling as it stands in events and state: a decimal such as `'2.55'` or `'-0.125'`.
 *
 * Text, because JSON numbers are floats. Amounts keep all their decimals; only {@link printMoney} rounds.
 */
export type Money = string

/** Nothing. */
export const zeroMoney: Money = '0'

/** What a price looks like in an orders file. The bound keeps every sum small. */
export const pricePattern: RegExp = /^\d{1,30}(?:\.\d{1,30})?$/

/** What an amount looks like in events. It has room for the total of an invoice with the highest price and the most pieces. */
export const moneyPattern: RegExp = /^-?\d{1,60}(?:\.\d{1,30})?$/

/** The sum of two amounts, exactly. */
export function addMoney(a: Money, b: Money): Money {
  return new Big(a).plus(b).toFixed()
}

/** What is left of `a` when `b` is taken away, exactly. */
export function subtractMoney(a: Money, b: Money): Money {
  return new Big(a).minus(b).toFixed()
}

/** Σ quantity × unit price, exactly. */
export function totalOf(lines: Iterable<{ readonly quantity: number; readonly unitPrice: Money }>): Money {
  let total = new Big(0)
  for (const line of lines) total = total.plus(new Big(line.unitPrice).times(line.quantity))
  return total.toFixed()
}

/** Whether two amounts are the same, whatever decimals they are written with. */
export function sameMoney(a: Money, b: Money): boolean {
  return new Big(a).eq(b)
}

/**
 * An amount for people: two decimals, halves rounded up (away from zero).
 *
 * @example
 * ```ts
 * printMoney('139.125') // '139.13'
 * ```
 */
export function printMoney(amount: Money): string {
  return new Big(amount).toFixed(2, Big.roundHalfUp)
}
