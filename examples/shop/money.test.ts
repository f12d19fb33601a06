import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { addMoney, moneyPattern, pricePattern, printMoney, sameMoney, subtractMoney, totalOf } from './money.ts'

describe('money', () => {
  it('adds what floats get wrong', () => {
    expect(addMoney('0.1', '0.2')).toBe('0.3')
    expect(addMoney('90071992547409.93', '0.01')).toBe('90071992547409.94')
    expect(subtractMoney('1', '0.9')).toBe('0.1')
  })

  it('multiplies and sums lines exactly, with more decimals than money has', () => {
    const lines = [
      { quantity: 3, unitPrice: '0.333' },
      { quantity: 9_007_199_254_740_991, unitPrice: '0.01' },
      { quantity: 1, unitPrice: '0' },
    ]
    expect(totalOf(lines)).toBe('90071992547410.909')
    expect(totalOf([])).toBe('0')
  })

  it('rounds halves up, and only when it prints', () => {
    expect(printMoney('0.125')).toBe('0.13')
    expect(printMoney('0.124999999')).toBe('0.12')
    expect(printMoney('2.5')).toBe('2.50')
    expect(printMoney(addMoney('0.004', '0.004'))).toBe('0.01')
    expect(printMoney('-0.125')).toBe('-0.13')
  })

  it('never writes an exponent', () => {
    expect(totalOf([{ quantity: 1_000_000_000, unitPrice: '9'.repeat(20) }])).toBe(`${'9'.repeat(20)}000000000`)
    expect(addMoney('0', '0.0000000001')).toBe('0.0000000001')
  })

  it('has room for the most expensive invoice that can be read', () => {
    const unitPrice = `${'9'.repeat(30)}.${'9'.repeat(30)}`
    expect(pricePattern.test(unitPrice)).toBe(true)
    expect(moneyPattern.test(totalOf([{ quantity: Number.MAX_SAFE_INTEGER, unitPrice }]))).toBe(true)
    for (const none of ['-1', '', '1.', '.5', '1e3', `9${unitPrice}`]) expect(pricePattern.test(none)).toBe(false)
  })

  it('compares amounts, not their spelling', () => {
    expect(sameMoney('1.50', '1.5')).toBe(true)
    expect(sameMoney('1.50', '1.51')).toBe(false)
  })

  it('adds and takes away like whole numbers of the smallest unit (property)', () => {
    const pence = fc.bigInt({ min: -(10n ** 25n), max: 10n ** 25n })
    const text = (amount: bigint): string => {
      const digits = (amount < 0n ? -amount : amount).toString().padStart(5, '0')
      return `${amount < 0n ? '-' : ''}${digits.slice(0, -4)}.${digits.slice(-4)}`
    }
    fc.assert(
      fc.property(pence, pence, (a, b) => {
        expect(moneyPattern.test(text(a))).toBe(true)
        expect(sameMoney(addMoney(text(a), text(b)), text(a + b))).toBe(true)
        expect(sameMoney(subtractMoney(text(a), text(b)), text(a - b))).toBe(true)
      }),
    )
  })
})
