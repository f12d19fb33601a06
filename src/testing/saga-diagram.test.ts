import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { event } from '../message/index.ts'
import { allOf, anyOf, choreography, end, mermaid, saga, step, timeout } from '../saga/index.ts'
import { sagaTest } from './index.ts'

const data = z.object({ id: z.string() })
const key = (d: { readonly id: string }): string => d.id
const Placed = event('DPlaced', { data, key })
const Paid = event('DPaid', { data, key })

describe('a diagram', () => {
  const act = step({ run: () => 1, undo: () => undefined })
  const child = saga('child', { start: data }, () => 1)
  const checkout = saga(
    'checkout',
    {
      start: Placed,
      steps: { charge: act, look: step({ run: () => 1 }) },
      signals: { paid: Paid, go: data },
      children: { child },
    },
    async (scope, order) => {
      await scope.step('charge')
      await scope.sleep('rest "a while"', '1h')
      return order.id
    },
  )

  it('of a saga shows what its body may ask for', () => {
    expect(mermaid(checkout)).toBe(`flowchart TD
  start(["DPlaced"]) --> body["saga checkout"]
  body --> step0["charge"]
  step0 -. "undo" .-> undo0["undo charge"]
  body --> step1["look"]
  signal0>"paid: DPaid"] --> body
  signal1>"go"] --> body
  body --> child0[["child"]]
`)
  })

  it('of an instance shows what it has asked for', async () => {
    const trial = sagaTest(checkout)
    await trial.start('o1', { id: 'o1' })
    const instance = trial.instance('o1')
    expect(instance === undefined ? '' : mermaid(instance)).toBe(`flowchart TD
  start(["checkout o1"])
  start --> a0["charge: done"]
  a0 --> a1(["sleep:rest #quot;a while#quot;: waiting"])
  a1 --> end(["running"])
`)
  })

  it('of a choreography shows what its rules wait for', () => {
    const rules = [
      allOf([Placed, Paid], () => end()),
      anyOf([Paid], () => undefined),
      timeout({ after: '15m', since: Placed, unless: [Paid] }, () => end()),
    ]
    expect(mermaid(choreography('fulfilment', { events: [Placed, Paid], starts: [Placed], rules }))).toBe(`flowchart TD
  event0>"DPlaced begins fulfilment"]
  event1>"DPaid"]
  rule0{"all of DPlaced, DPaid"}
  event0 --> rule0
  event1 --> rule0
  rule1{"any of DPaid"}
  event1 --> rule1
  rule2(["15m after DPlaced without DPaid"])
  event0 --> rule2
  event1 -. "calls off" .-> rule2
`)
  })
})
