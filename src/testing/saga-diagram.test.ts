import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { event } from '../message/index.ts'
import { allOf, anyOf, choreography, end, mermaid, saga, step, timeout } from '../saga/index.ts'
import { sagaTest } from './index.ts'

const data = z.object({ id: z.string() })
const key = (d: { readonly id: string }): string => d.id
const Placed = event('DPlaced', { data, key })
const Paid = event('DPaid', { data, key })

/** Words that Mermaid keeps for itself: as the id of a node they break the diagram. */
const reserved = [
  ...[
    'end',
    'graph',
    'flowchart',
    'subgraph',
    'class',
    'classDef',
    'click',
    'style',
    'linkStyle',
    'default',
    'direction',
  ],
  ...['call', 'href', 'interpolate', 'accTitle', 'accDescr'],
]

/** Ids of the nodes of a diagram: all words that stand in no quotes. */
function idsOf(diagram: string): readonly string[] {
  const [first, ...rest] = diagram.split('\n')
  expect(first).toBe('flowchart TD')
  return (
    rest
      .join('\n')
      .replaceAll(/"[^"]*"/g, '')
      .match(/\w+/g) ?? []
  )
}

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
  a1 --> status(["running"])
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

  it('takes whatever things are called', async () => {
    const steps = Object.fromEntries(reserved.map((name) => [name, act]))
    const signals = Object.fromEntries(reserved.map((name) => [name, data]))
    const children = Object.fromEntries(reserved.map((name) => [name, child]))
    const events = reserved.map((name) => event(name, { data, key }))
    const [first, ...more] = events as [(typeof events)[0], ...typeof events]
    const one = saga('end', { start: first, steps, signals, children }, async (scope) => {
      for (const name of reserved) await scope.step(name)
      await scope.signal('end')
    })
    const trial = sagaTest(one)
    await trial.start('end', { id: 'end' })
    const instance = trial.instance('end')
    const rules = [allOf([first, ...more], () => end()), timeout({ after: '1s', since: first }, () => end())]
    const diagrams = [
      mermaid(one),
      ...(instance === undefined ? [] : [mermaid(instance)]),
      mermaid(choreography('end', { events: [first, ...more], starts: [first], rules })),
    ]
    expect(diagrams).toHaveLength(3)
    for (const diagram of diagrams) {
      expect(idsOf(diagram).length).toBeGreaterThan(reserved.length)
      expect(reserved.filter((word) => idsOf(diagram).includes(word))).toEqual([])
    }
  })

  it('shows what is said as it is said', async () => {
    const said = '"a" <b> `c` %%{init}%% #d; e & f\ng'
    const trial = sagaTest(
      saga('said', { start: data }, () => {
        throw new RangeError(said)
      }),
    )
    await trial.start('o1', { id: 'o1' })
    const instance = trial.instance('o1')
    const shown = instance === undefined ? '' : mermaid(instance)
    expect(shown).toContain('compensated: #quot;a#quot; #60;b#62; #96;c#96; #37;#37;{init}#37;#37; #35;d; e #38; f g"')
  })
})
