import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { ByteBudget } from './byte-budget.ts'

/** Acquires and notes the name when the bytes are there. */
function acquire(
  budget: ByteBudget,
  bytes: number,
  name: string,
  admitted: string[],
  signal?: AbortSignal,
): Promise<void> {
  return budget.acquire(bytes, signal).then(() => {
    admitted.push(name)
  })
}

const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))

describe('ByteBudget', () => {
  it('admits first come, first served, and nobody overtakes', async () => {
    const budget = new ByteBudget('the buffer', 10)
    const admitted: string[] = []
    const all = [
      acquire(budget, 8, 'a', admitted),
      acquire(budget, 6, 'b', admitted),
      acquire(budget, 1, 'c', admitted),
    ]
    await turn()
    expect(admitted).toEqual(['a'])
    expect(budget.tryAcquire(1)).toBe(false)
    budget.release(8)
    await Promise.all(all)
    expect(admitted).toEqual(['a', 'b', 'c'])
    expect([budget.usedBytes, budget.waitingCount]).toEqual([7, 0])
  })

  it('refuses what could never fit, at once', async () => {
    const budget = new ByteBudget('the buffer', 10)
    await expect(budget.acquire(11)).rejects.toMatchObject({
      code: 'BYTE_BUDGET_EXCEEDED',
      details: { bytes: 11, bytesMax: 10 },
    })
    expect(budget.tryAcquire(10)).toBe(true)
  })

  it('lets the ones behind in when a large request gives up', async () => {
    const budget = new ByteBudget('the buffer', 10)
    const controller = new AbortController()
    const admitted: string[] = []
    await budget.acquire(5)
    const large = acquire(budget, 10, 'large', admitted, controller.signal)
    const small = acquire(budget, 5, 'small', admitted)
    controller.abort(new Error('gave up'))
    await expect(large).rejects.toThrow('gave up')
    await small
    expect(admitted).toEqual(['small'])
    await expect(budget.acquire(1, controller.signal)).rejects.toThrow('gave up')
  })

  it('notices when more comes back than it gave out', async () => {
    const budget = new ByteBudget('the buffer', 10)
    await budget.acquire(4)
    expect(() => budget.release(5)).toThrow(expect.objectContaining({ code: 'INVARIANT_BROKEN' }))
    expect(budget.usedBytes).toBe(4)
  })

  it('turns everybody away when it is closed', async () => {
    const budget = new ByteBudget('the buffer', 10)
    await budget.acquire(10)
    const waiting = budget.acquire(1)
    budget.close(new Error('shut'))
    budget.close(new Error('again'))
    await expect(waiting).rejects.toThrow('shut')
    await expect(budget.acquire(1)).rejects.toThrow('shut')
    expect(() => budget.tryAcquire(1)).toThrow('shut')
  })

  it('never gives out more than it has, and admits everybody in the end, in order', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 100 }), { maxLength: 60 }), async (sizes) => {
        const budget = new ByteBudget('the buffer', 100)
        const order: number[] = []
        await Promise.all(
          sizes.map(async (bytes, index) => {
            await budget.acquire(bytes)
            order.push(index)
            expect(budget.usedBytes).toBeLessThanOrEqual(100)
            await turn()
            budget.release(bytes)
          }),
        )
        expect(order).toEqual(sizes.map((_, index) => index))
        expect([budget.usedBytes, budget.waitingCount]).toEqual([0, 0])
      }),
      { numRuns: 30 },
    )
  })
})
