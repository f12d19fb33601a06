import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { fixed, none } from '../runtime/index.ts'
import { StepRejectedError, saga, step } from '../saga/index.ts'
import { Item, memoryEngine, Paid, Placed, Shipped } from './app.test-support.ts'
import { app } from './index.ts'

describe('a saga', () => {
  it('runs its steps one after the other and answers', async () => {
    const done: string[] = []
    const act = step({
      run: (n: number) => {
        done.push(`run ${n}`)
        return n * 2
      },
      undo: ({ output }) => {
        done.push(`undo ${output}`)
      },
    })
    const s = saga('s', { start: z.object({ n: z.number() }), steps: { a: act, b: act } }, async (saga, input) => {
      const a = await saga.step('a', input.n)
      const b = await saga.step('b', a)
      return { b }
    })
    await using engine = await memoryEngine()
    await using running = await app('test', { sagas: [s] }).start({ engine })
    expect(await running.saga(s).run('k', { n: 3 })).toEqual({ status: 'completed', result: { b: 12 } })
    expect(done).toEqual(['run 3', 'run 6'])
    const t0 = performance.now()
    for (let i = 0; i < 200; i++) await running.saga(s).run('k' + i, { n: 3 })
    console.log('1:', (200 / (performance.now() - t0)) * 1000)
    const t1 = performance.now()
    await Promise.all(
      Array.from({ length: 64 }, async (_, c) => {
        for (let i = 0; i < 40; i++) await running.saga(s).run(`p${c}-${i}`, { n: 3 })
      }),
    )
    console.log('64:', ((64 * 40) / (performance.now() - t1)) * 1000)
  })
  it('undoes in reverse order', async () => {
    const done: string[] = []
    const act = step({
      run: (n: number) => {
        done.push(`run ${n}`)
        if (n === 3) throw new StepRejectedError('no')
        return n * 2
      },
      undo: ({ output }) => {
        done.push(`undo ${output}`)
      },
    })
    const s = saga('s', { start: z.object({ n: z.number() }), steps: { a: act, b: act, c: act } }, async (saga) => {
      await saga.step('a', 1)
      await saga.step('b', 2)
      await saga.step('c', 3)
      return 1
    })
    await using engine = await memoryEngine()
    await using running = await app('test', { sagas: [s] }).start({ engine })
    expect(await running.saga(s).run('k', { n: 3 })).toMatchObject({ status: 'compensated' })
    expect(done).toEqual(['run 1', 'run 2', 'run 3', 'undo 4', 'undo 2'])
    expect(await running.saga(s).get('k')).toMatchObject({})
  })
})
