import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { embedded } from '../embedded/index.ts'
import { saga } from '../saga/index.ts'
import { Paid, Placed } from './app.test-support.ts'
import { embeddedGround } from './app-ground.test-support.ts'
import { app, explain } from './index.ts'
import { testSagas } from './sagas-cases.test-support.ts'

describe('on the embedded engine', () => {
  testSagas(embeddedGround())
})

describe('a saga', () => {
  it('is explained', () => {
    const checkout = saga('checkout', { start: Placed, signals: { paid: Paid, hurry: z.number() } }, () => 1)
    const [guarantees] = explain(app('shop', { sagas: [checkout] }), embedded({ path: ':memory:' })).handlers
    expect(guarantees).toMatchObject({ name: 'saga checkout', delivery: 'exactly-once' })
    expect(guarantees?.source.topics).toEqual(['shop.saga.checkout', 'orders', 'payments'])
  })
})
