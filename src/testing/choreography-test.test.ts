import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { event, type Message } from '../message/index.ts'
import { publish } from '../runtime/index.ts'
import { allOf, anyOf, type ChoreographyOptions, choreography, end, timeout } from '../saga/index.ts'
import { type ChoreographyTest, choreographyTest } from './index.ts'

const data = z.object({ id: z.string() })
const key = (d: { readonly id: string }): string => d.id
const Placed = event('CPlaced', { data: data.extend({ total: z.number() }), key })
const Paid = event('CPaid', { data: data.extend({ by: z.string() }), key })
const Reserved = event('CReserved', { data, key })
const Declined = event('CDeclined', { data, key })
const Confirmed = event('CConfirmed', { data: z.object({ id: z.string(), text: z.string() }), key })
const Rejected = event('CRejected', { data: z.object({ id: z.string(), why: z.string() }), key })

const events = [Placed, Paid, Reserved, Declined] as const

function fulfilment(options: Partial<ChoreographyOptions<typeof events>> = {}): ChoreographyTest {
  const rules = [
    allOf([Placed, Paid, Reserved], ({ CPlaced, CPaid }) => [
      publish(Confirmed({ id: CPlaced.id, text: `${CPlaced.total} by ${CPaid.by}` })),
      end('confirmed'),
    ]),
    anyOf([Declined], ({ CDeclined }) => [
      publish(Rejected({ id: CDeclined?.id ?? '', why: 'declined' })),
      end('declined'),
    ]),
    timeout({ after: '15m', since: Placed, unless: [Paid] }, ({ CPlaced }, ctx) => [
      publish(Rejected({ id: CPlaced.id, why: `not paid within ${ctx.nowMs - ctx.startedMs} ms` })),
      end('not paid'),
    ]),
  ]
  return choreographyTest(choreography('fulfilment', { events, starts: [Placed], rules, ...options }))
}

const placed = Placed({ id: 'o1', total: 7 })
const paid = Paid({ id: 'o1', by: 'card' })
const reserved = Reserved({ id: 'o1' })
const texts = (test: ChoreographyTest): unknown[] => test.published.map((message) => message.data)

/** How the process should stand, by the simplest reckoning. */
function modelOf(steps: readonly (Message | number)[]): string {
  const came = new Set<string>()
  let [nowS, placedS, status] = [0, Number.NaN, 'nothing']
  for (const one of steps) {
    if (status === 'ended') break
    if (typeof one === 'number') nowS += one
    else {
      came.add(one.type)
      if (one.type === 'CPlaced' && Number.isNaN(placedS)) placedS = nowS
    }
    const isDone = came.has('CDeclined') || (came.has('CPaid') && came.has('CReserved'))
    const isOverdue = nowS >= placedS + 900 && !came.has('CPaid')
    if (Number.isNaN(placedS)) status = came.size > 0 ? 'expected' : 'nothing'
    else status = isDone || isOverdue ? 'ended' : 'open'
  }
  return status
}

describe('a choreography', () => {
  it('waits for all of them, in whatever order they come, and reacts once', () => {
    const orders = [
      [placed, paid, reserved],
      [placed, reserved, paid],
      [paid, placed, reserved],
      [paid, reserved, placed],
      [reserved, placed, paid],
      [reserved, paid, placed],
    ]
    for (const order of orders) {
      const test = fulfilment()
      test.send(...order, paid)
      expect(texts(test)).toEqual([{ id: 'o1', text: '7 by card' }])
      expect(test.process('o1')).toMatchObject({ status: 'ended', outcome: 'confirmed' })
    }
  })

  it('keeps processes apart by key', async () => {
    const test = fulfilment()
    test.send(placed, Placed({ id: 'o2', total: 8 }), paid, Reserved({ id: 'o2' }), reserved)
    expect(texts(test)).toEqual([{ id: 'o1', text: '7 by card' }])
    await test.advance('15m')
    expect(texts(test)).toHaveLength(2)
    expect(texts(test)[1]).toEqual({ id: 'o2', why: 'not paid within 900000 ms' })
  })

  it('is never early with a time-out, and calls it off', async () => {
    const test = fulfilment()
    test.send(placed)
    await test.advance('14m')
    expect(test.published).toEqual([])
    test.send(paid)
    await test.advance('1h')
    expect(test.published).toEqual([])
    expect(test.clock.pendingTimerCount).toBe(0)
    test.send(reserved)
    expect(texts(test)).toEqual([{ id: 'o1', text: '7 by card' }])
  })

  it('goes by the last data of an event that comes twice, and by the time of the first', async () => {
    const test = fulfilment()
    test.send(placed)
    await test.advance('10m')
    test.send(Placed({ id: 'o1', total: 9 }))
    await test.advance('5m')
    expect(texts(test)).toEqual([{ id: 'o1', why: 'not paid within 900000 ms' }])
    const other = fulfilment()
    other.send(placed, paid, Placed({ id: 'o1', total: 9 }), Paid({ id: 'o1', by: 'cash' }), reserved)
    expect(texts(other)).toEqual([{ id: 'o1', text: '9 by cash' }])
  })

  it('stays ended, whatever comes', async () => {
    const test = fulfilment()
    test.send(placed, Declined({ id: 'o1' }), paid, reserved, placed)
    expect(texts(test)).toEqual([{ id: 'o1', why: 'declined' }])
    await test.advance('1d')
    expect(test.process('o1')).toBeUndefined()
    expect(test.givenUp).toEqual([])
  })

  it('makes dead letters of what is late or missing, if it shall', () => {
    const test = fulfilment({ late: 'dead-letter', missing: 'dead-letter' })
    test.send(paid)
    test.send(placed, Declined({ id: 'o1' }), reserved)
    expect(test.givenUp).toMatchObject([
      { key: 'o1', type: 'CPaid', error: { code: 'CORRELATION_MISSING' } },
      { key: 'o1', type: 'CReserved', error: { code: 'CORRELATION_LATE', details: { outcome: 'declined' } } },
    ])
  })

  it('ignores what is missing, if it shall', () => {
    const test = fulfilment({ missing: 'ignore' })
    test.send(paid, placed, reserved)
    expect(test.published).toEqual([])
    expect(test.process('o1')).toMatchObject({ status: 'open' })
  })

  it('tells when nothing begins a process for which something came, and goes on waiting', async () => {
    const test = fulfilment({ hold: '10m' })
    test.send(paid)
    await test.advance('10m')
    expect(test.givenUp).toMatchObject([
      { type: null, error: { code: 'CORRELATION_MISSING', details: { types: ['CPaid'] } } },
    ])
    test.send(placed, reserved)
    expect(texts(test)).toEqual([{ id: 'o1', text: '7 by card' }])
  })

  it('begins anew with what came late, if it shall, when the end is forgotten', async () => {
    const test = fulfilment({ late: 'redeliver', keep: '1h' })
    test.send(placed, Declined({ id: 'o1' }), Placed({ id: 'o1', total: 9 }), paid, reserved)
    expect(texts(test)).toHaveLength(1)
    await test.advance('1h')
    expect(texts(test)[1]).toEqual({ id: 'o1', text: '9 by card' })
  })

  it('begins, though what waited for it comes when it has ended: that becomes a dead letter', async () => {
    const test = fulfilment({ late: 'dead-letter' })
    test.send(Declined({ id: 'o1' }), reserved, paid, placed)
    expect(texts(test)).toEqual([{ id: 'o1', why: 'declined' }])
    expect(test.process('o1')).toMatchObject({ status: 'ended', outcome: 'declined' })
    await test.advance(0)
    expect(test.givenUp).toMatchObject([
      { key: 'o1', type: null, error: { code: 'CORRELATION_LATE', details: { type: 'CReserved, CPaid' } } },
    ])
    await test.advance('1d')
    expect(test.process('o1')).toBeUndefined()
  })

  it('is forgotten, though what came late has no process now: that becomes a dead letter', async () => {
    const test = fulfilment({ late: 'redeliver', missing: 'dead-letter', keep: '1h' })
    test.send(placed, Declined({ id: 'o1' }), reserved)
    await test.advance('1h')
    expect(test.process('o1')).toBeUndefined()
    expect(test.givenUp).toMatchObject([{ error: { code: 'CORRELATION_MISSING', details: { types: ['CReserved'] } } }])
    test.send(placed, reserved, paid)
    expect(texts(test)).toHaveLength(2)
  })

  it('lets only so much wait that all of it can be given up together', async () => {
    const test = fulfilment({ late: 'dead-letter' })
    const big = Paid({ id: 'o1', by: 'x'.repeat(400_000) })
    test.send(Declined({ id: 'o1' }), big, big, big)
    expect(test.givenUp).toMatchObject([{ type: 'CPaid', error: { code: 'SAGA_INBOX_FULL' } }])
    test.send(placed)
    await test.advance(0)
    expect(test.givenUp[1]).toMatchObject({ error: { details: { type: 'CPaid, CPaid' } } })
  })

  it('begins, though a rule throws for what waited for it: that becomes a dead letter', async () => {
    const faulty = anyOf([Declined], () => {
      throw new RangeError('oh')
    })
    const all = allOf([Placed, Reserved], () => end('both'))
    const test = fulfilment({ rules: [faulty, all] })
    test.send(Declined({ id: 'o1' }), placed)
    expect(test.process('o1')).toMatchObject({ status: 'open', held: [] })
    await test.advance(0)
    expect(test.givenUp).toMatchObject([{ type: null, error: { message: 'oh' } }])
    test.send(reserved)
    expect(test.process('o1')).toMatchObject({ status: 'ended', outcome: 'both' })
  })

  it('loses no beginning and jams no key, whatever its policies are', async () => {
    const policy = fc.constantFrom('redeliver', 'dead-letter', 'ignore')
    const any = fc.array(
      fc.oneof(fc.constantFrom<Message | number>(placed, paid, reserved, Declined({ id: 'o1' })), fc.constant(4000)),
      { maxLength: 15 },
    )
    await fc.assert(
      fc.asyncProperty(policy, policy, any, async (late, missing, steps) => {
        const test = fulfilment({ late, missing, keep: '1h', hold: '10m' })
        const send = (one: Message): string[] => {
          const [status, before] = [test.process('o1')?.status, test.givenUp.length]
          test.send(one)
          const codes = test.givenUp.slice(before).map(({ error }) => (error as { readonly code: string }).code)
          const isMissing = status !== 'open' && status !== 'ended' && one !== placed && missing === 'dead-letter'
          const wanted = status === 'ended' && late === 'dead-letter' ? 'CORRELATION_LATE' : undefined
          return codes.filter((code) => code !== (isMissing ? 'CORRELATION_MISSING' : wanted))
        }
        // What comes is given up by the policy that is meant for it, never for the sake of what waited.
        const faults: string[] = []
        for (const one of steps) {
          if (typeof one === 'number') await test.advance(one * 1000)
          else faults.push(...send(one))
        }
        expect(faults).toEqual([])
        // All that waits comes to its end in time, and the next process begins as the first did.
        for (let hour = 0; hour < 40; hour++) {
          if (test.process('o1')?.status === 'open') test.send(Declined({ id: 'o1' }))
          await test.advance('1h')
        }
        expect(test.process('o1')?.status ?? 'expected').toBe('expected')
        test.send(placed)
        expect(test.process('o1')?.status).toMatch(/open|ended/)
      }),
      { numRuns: 300, verbose: 1 },
    )
  })

  it('whose rule throws gives the event up, and nothing of it is kept', () => {
    const broken = choreography('broken', {
      events,
      starts: [Placed],
      rules: [
        anyOf([Paid], () => {
          throw new RangeError('oh')
        }),
      ],
    })
    const test = choreographyTest(broken)
    test.send(placed, paid)
    expect(test.givenUp).toMatchObject([{ type: 'CPaid', error: { message: 'oh' } }])
    expect(test.process('o1')?.seen).not.toHaveProperty('CPaid')
  })

  it('refuses rules about events that do not concern it', () => {
    expect(() =>
      choreography('c', {
        events: [Placed],
        starts: [Paid as never],
        rules: [allOf([Paid], () => end()), allOf([Paid], () => end())],
      }),
    ).toThrow(/holds CPaid, which is none of its events.*CPaid is none of its events.*twice/)
  })

  it('ends each process once, with one answer, whatever comes in whatever order', async () => {
    const any = fc.array(
      fc.oneof(
        fc.constantFrom<Message | number>(placed, paid, reserved, Declined({ id: 'o1' })),
        fc.integer({ min: 1, max: 600 }),
      ),
      { maxLength: 15 },
    )
    await fc.assert(
      fc.asyncProperty(any, async (steps) => {
        const test = fulfilment()
        for (const one of steps) {
          if (typeof one === 'number') await test.advance(one * 1000)
          else test.send(one)
        }
        await test.advance('15m')
        const wanted = modelOf([...steps, 900])
        expect([test.process('o1')?.status ?? 'nothing', test.published.length]).toEqual([
          wanted,
          wanted === 'ended' ? 1 : 0,
        ])
      }),
      { numRuns: 300, verbose: 1 },
    )
  })
})

describe('an event type', () => {
  it('may be called as what every object has', () => {
    const Built = event('constructor', { data, key })
    const test = choreographyTest(
      choreography('building', {
        events: [Reserved, Built],
        starts: [Reserved],
        rules: [
          anyOf([Built], () => end('built')),
          allOf([Reserved, Built], () => end('both')),
          timeout({ after: '1m', since: Built }, () => end('built too long ago')),
          timeout({ after: '15m', since: Reserved, unless: [Built] }, () => end('never built')),
        ],
      }),
    )
    test.send(reserved)
    expect(test.process('o1')).toMatchObject({ status: 'open', applied: [] })
    test.send(Built({ id: 'o2' }), Reserved({ id: 'o2' }))
    expect(test.process('o2')?.outcome).toBe('built')
  })
})

describe('what a choreography cannot be', () => {
  const rule = anyOf([Placed], () => end())
  const base = { events: [Placed], starts: [Placed], rules: [rule] } as const

  it.each<[string, object, string]>([['an option that there is none of', { lat: 'ignore' }, 'lat is no option']])(
    '%s',
    (_, wrong, problem) => {
      expect(() => choreography('c', { ...base, ...wrong })).toThrow(problem)
    },
  )

  it.each<[string, () => unknown, string]>([
    ['a rule of no events', () => allOf([] as never, () => end()), 'at least one'],
    ['a rule of no definitions', () => anyOf(['Placed'] as never, () => end()), 'definitions of events'],
    ['a rule without a function', () => anyOf([Placed], undefined as never), 'react is not a function'],
    ['a time-out without an event', () => timeout({ after: '1m' } as never, () => end()), 'since is not'],
    [
      'a time-out with another option',
      () => timeout({ after: '1m', since: Placed, until: 1 } as never, () => end()),
      'until is no option',
    ],
    ['a time-out without a time', () => timeout({ after: 'soon' as never, since: Placed }, () => end()), 'after'],
  ])('%s', (_, make, problem) => {
    expect(make).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID', message: expect.stringContaining(problem) }),
    )
  })
})
