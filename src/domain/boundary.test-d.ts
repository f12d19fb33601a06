import { describe, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { command, event } from '../message/index.ts'
import { type Boundary, boundary } from './boundary.ts'
import { projection } from './projection.ts'
import { reject } from './rejection.ts'

const ids = z.object({ courseId: z.string(), studentId: z.string() })
const Subscribe = command('Subscribe', { data: ids })
const Define = command('Define', { data: z.object({ courseId: z.string(), capacity: z.number() }) })
const Subscribed = event('Subscribed', { data: ids })
const Defined = event('Defined', { data: z.object({ courseId: z.string(), capacity: z.number() }) })

const seatsOf = (courseId: string) =>
  projection({
    events: [Defined, Subscribed],
    tags: [`course:${courseId}`],
    initial: 0,
    on: {
      Defined: (_seats, { data }) => data.capacity,
      Subscribed: (seats, { data }) => {
        expectTypeOf(data.studentId).toEqualTypeOf<string>()
        return seats - 1
      },
    },
  })
const namesOf = (courseId: string) =>
  projection({ events: [Defined], tags: [courseId], initial: { names: [''] }, on: { Defined: (state) => state } })

describe('boundary', () => {
  it('infers what a decision reads, and the codes', () => {
    const subscribe = boundary('subscribe', {
      command: Subscribe,
      events: [Subscribed, Defined],
      reads: ({ data }) => ({ seats: seatsOf(data.courseId), names: namesOf(data.studentId) }),
      decide: ({ data }, { seats, names }) => {
        expectTypeOf(seats).toEqualTypeOf<number>()
        expectTypeOf(names).toEqualTypeOf<Readonly<{ names: string[] }>>()
        if (seats < 1) return reject('FULL')
        return names.names.length > 5 ? reject('TOO_MANY') : [Subscribed(data)]
      },
    })
    expectTypeOf<typeof subscribe extends Boundary<infer _C, infer _E, infer Code> ? Code : never>().toEqualTypeOf<
      'TOO_MANY' | 'FULL'
    >()
    const any: Boundary = subscribe
    expectTypeOf(any.name).toEqualTypeOf<string>()
  })

  it('wants events of its own', () => {
    boundary('b', {
      command: Define,
      events: [Defined],
      reads: () => ({}),
      // @ts-expect-error Subscribed is not among its events
      decide: () => Subscribed({ courseId: 'c', studentId: 's' }),
    })
  })
})
