import { setTimeout as wait } from 'node:timers/promises'
import { describe, expect, it } from 'vitest'
import { isUuid, SeededRandom, uuidv7, VirtualClock } from '../kernel/index.ts'
import { contextFor, currentContext, defaultSource, event, type Message, runInContext } from './index.ts'

const Ticked = event('Ticked')
const clock = new VirtualClock(Date.UTC(2026, 0, 1, 12))
const trace = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01', tracestate: 'vendor=1' }
const handled = Ticked(null, { ...trace, id: '019a9e5c-3a68-7b1e-8d0a-52f6c1a09be4' })
const options = { source: '/shop/payment', clock, handlerId: 'payment.charge' }

function idsOf(message: Message, handlerId: string, count: number): string[] {
  const context = contextFor(message, { ...options, handlerId })
  return Array.from({ length: count }, () => context.nextId())
}

describe('a message created while another is handled', () => {
  it('inherits source, time, correlation, causation and trace', () => {
    const made = runInContext(contextFor(handled, options), () => Ticked())
    expect(made).toMatchObject({
      ...trace,
      source: '/shop/payment',
      time: '2026-01-01T12:00:00.000Z',
      correlationid: handled.id,
      causationid: handled.id,
    })
    const next = runInContext(contextFor(made, options), () => Ticked())
    expect([next.correlationid, next.causationid]).toEqual([handled.id, made.id])
  })

  it('does so across awaits and beside other handlers', async () => {
    const made = await Promise.all(
      ['a', 'b', 'c'].map((id) =>
        runInContext(contextFor(Ticked(null, { id }), options), async () => {
          await wait(1)
          const first = Ticked()
          await Promise.resolve()
          return [first.causationid, Ticked().causationid]
        }),
      ),
    )
    expect(made).toEqual([
      ['a', 'a'],
      ['b', 'b'],
      ['c', 'c'],
    ])
  })

  it('lets the caller override what is inherited', () => {
    const made = runInContext(contextFor(handled, options), () => Ticked(null, { correlationid: 'own', source: '/x' }))
    expect([made.correlationid, made.source, made.causationid]).toEqual(['own', '/x', handled.id])
  })

  it('inherits nothing outside', () => {
    runInContext(contextFor(handled, options), () => Ticked())
    expect(currentContext().source).toBe(defaultSource)
    expect(Ticked()).not.toHaveProperty('correlationid')
  })
})

describe('ids drawn while a message is handled', () => {
  it('are the same at each retry', () => {
    expect(idsOf(handled, 'h', 20)).toEqual(idsOf(handled, 'h', 20))
  })

  it('keep their value over releases: retries may straddle a deployment', () => {
    const fixed = Ticked(null, { id: '019a9e5c-3a68-7b1e-8d0a-52f6c1a09be4', source: '/shop/ordering' })
    expect(idsOf(fixed, 'payment.charge', 3)).toEqual([
      '019a9e5c-3a68-7d73-bdf0-49aeb4bc756a',
      '019a9e5c-3a68-70fb-ad94-ba898cf14bfd',
      '019a9e5c-3a68-748f-9a3f-573563af97f4',
    ])
  })

  it('depend on the handler, the message and its source', () => {
    const other = Ticked(null, { id: '019a9e5c-3a68-7b1e-8d0a-52f6c1a09be5' })
    const elsewhere = Ticked(null, { id: handled.id, source: '/elsewhere' })
    const ids = [idsOf(handled, 'h', 3), idsOf(handled, 'g', 3), idsOf(other, 'h', 3), idsOf(elsewhere, 'h', 3)]
    expect(new Set(ids.flat()).size).toBe(12)
  })

  it('have the shape of a UUID of version 7 with the time of the handled message', () => {
    for (const id of idsOf(handled, 'h', 100)) {
      expect(id).toMatch(/^019a9e5c-3a68-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/)
    }
    const foreign = Ticked(null, { id: 'order 7', time: '2026-01-01T12:00:00+00:00' })
    const expected = uuidv7(clock, new SeededRandom(1))().slice(0, 13)
    expect(idsOf(foreign, 'h', 1)[0]?.slice(0, 13)).toBe(expected)
    expect(isUuid(idsOf(foreign, 'h', 1)[0] as string)).toBe(true)
  })

  it('do not collide over half a million handlings of similar messages, and use all their bits evenly', () => {
    const count = 500_000
    const perMessage = 4
    // The last 18 digits are what is derived; their bits are counted on a sample.
    const seen = new Set<string>()
    const ones = Array.from({ length: 74 }, () => 0)
    let sampleCount = 0
    for (let n = 0; n < count / perMessage; n++) {
      const message = { ...handled, id: `order-${n}` }
      const context = contextFor(message, { ...options, handlerId: n % 2 === 0 ? 'a' : 'b' })
      for (let drawn = 0; drawn < perMessage; drawn++) {
        const id = context.nextId()
        seen.add(id.slice(15))
        if (n % 16 !== 0) continue
        sampleCount++
        const bits = BigInt(
          `0x${id.slice(15, 18)}${(Number.parseInt(id.slice(19, 23), 16) & 0x3fff).toString(16).padStart(4, '0')}${id.slice(24)}`,
        )
        for (let bit = 0; bit < 72; bit++) ones[bit] = (ones[bit] as number) + Number((bits >> BigInt(bit)) & 1n)
      }
    }
    expect(seen.size).toBe(count)
    // Two bits of the middle group are always 0 in this reading; all others are fair coins within six deviations.
    const uneven = ones.flatMap((n, bit) => (Math.abs(n - sampleCount / 2) > 3 * Math.sqrt(sampleCount) ? [bit] : []))
    expect(uneven).toEqual([62, 63, 72, 73])
  }, 60_000)
})
