import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { event, type Message, upcastFrom } from './index.ts'

const data = z.object({ customerId: z.string(), street: z.string(), country: z.string().length(2) })
const Moved = event('Moved', {
  version: 4,
  data,
  upcast: upcastFrom(2, (d: { id: string; address?: string }) => {
    if (d.address === undefined) throw new TypeError('no address')
    return { customerId: d.id, street: d.address }
  }).andFrom(3, (d) => ({ ...d, country: d.street === 'Abbey Road' ? 'GB' : 'Netherlands' })),
})
const current = Moved(
  { customerId: '1', street: 'Abbey Road', country: 'GB' },
  { subject: 's', extensions: { tenant: 'x' } },
)

function written(dataversion: number, old: unknown): Message {
  return Object.freeze({ ...current, dataversion, data: Object.freeze(old) })
}

describe('read', () => {
  it('gives a message of the current version back as it is', () => {
    expect(Moved.read(current)).toBe(current)
    const unchecked = written(4, { nonsense: true })
    expect(Moved.read(unchecked)).toBe(unchecked)
  })

  it('upcasts through every step, validates, and keeps the rest of the envelope', () => {
    const old = written(2, { id: '1', address: 'Abbey Road' })
    const message = Moved.read(old)
    expect(message).toStrictEqual(current)
    expect(Object.keys(message)).toEqual(Object.keys(current))
    expect(Object.isFrozen(message) && Object.isFrozen(message.data)).toBe(true)
    expect(old.data).toEqual({ id: '1', address: 'Abbey Road' })
    expect(Moved.read(written(3, { customerId: '1', street: 'Abbey Road' }))).toStrictEqual(current)
    expect(Moved.oldestVersion).toBe(2)
  })

  it.each<[string, Message, object]>([
    ['a newer version', written(5, {}), { code: 'VERSION_UNKNOWN', details: { version: 5, currentVersion: 4 } }],
    ['a version before the chain', written(1, {}), { code: 'UPCAST_MISSING', details: { version: 1 } }],
    ['a version that is no number', written(Number.NaN, {}), { code: 'UPCAST_MISSING' }],
    [
      'a step that throws',
      written(2, { id: '1' }),
      {
        code: 'UPCAST_FAILED',
        problem: expect.stringContaining('no address'),
        details: { version: 2, failedAt: 2 },
        cause: { message: 'no address' },
      },
    ],
    [
      'a result that does not fit the schema',
      written(3, { customerId: '1', street: 'Damrak' }),
      {
        code: 'UPCAST_FAILED',
        problem: expect.stringContaining('data.country'),
        details: { version: 3, failedAt: 4 },
        cause: { code: 'DATA_INVALID' },
      },
    ],
    ['another type', { ...current, type: 'Left' }, { code: 'TYPE_MISMATCH', details: { messageType: 'Left' } }],
  ])('refuses %s', (_name, message, expected) => {
    let thrown: unknown
    try {
      Moved.read(message)
    } catch (error) {
      thrown = error
    }
    expect(thrown).toMatchObject({ ...expected, remedy: expect.stringMatching(/\.$/) })
  })

  it('refuses old versions where there is no upcast at all', () => {
    const Two = event('Moved', { version: 2 })
    expect(() => Two.read(written(1, null))).toThrow(expect.objectContaining({ code: 'UPCAST_MISSING' }))
  })

  it('validates the current version on demand', () => {
    expect(Moved.read(current, { validate: true })).toStrictEqual(current)
    expect(() => Moved.read(written(4, { nonsense: true }), { validate: true })).toThrow(
      expect.objectContaining({ code: 'DATA_INVALID' }),
    )
  })
})

describe('upcastFrom', () => {
  it('refuses steps out of order and versions that are none', () => {
    const chain = upcastFrom(1, (d: number) => d + 1)
    expect(() => chain.andFrom(3 as 2, (d) => d)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }))
    expect(() => upcastFrom(0, (d) => d)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }))
    expect(() => upcastFrom(1, 'step' as never)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }))
    expect(() => chain.andFrom(2, undefined as never)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }))
  })

  it('does not change the chain that is continued', () => {
    const chain = upcastFrom(1, (d: number) => d + 1)
    const longer = chain.andFrom(2, (d) => d * 10)
    expect([chain.to, longer.to]).toEqual([2, 3])
    expect(chain.run(1, 1)).toEqual({ ok: true, data: 2 })
    expect(longer.run(1, 1)).toEqual({ ok: true, data: 20 })
    expect(longer.run(2, 1)).toEqual({ ok: true, data: 10 })
  })
})
