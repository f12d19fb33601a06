import { z } from 'zod'
import {
  boundary,
  command,
  event,
  type Message,
  type Projection,
  projection,
  reject,
  service,
} from '../../src/index.ts'
import type { Life } from '../life.ts'
import { outcomeOfFailure } from '../publishing.ts'
import type { Found, FoundEvent, Parts, Process, Setting, Workload } from '../workload.ts'

const seat = z.object({ course: z.string(), student: z.string() })
type Seat = z.infer<typeof seat>
const Subscribe = command('Subscribe', { data: seat, key: (data) => data.course })
const Subscribed = event('Subscribed', {
  topic: 'courses',
  data: seat,
  key: (data) => data.course,
  tags: (data) => [`course:${data.course}`, `student:${data.student}`],
})

const seatCount = 4
const coursesPerStudent = 2
const courseCount = 4
const studentCount = 8
const clientCount = 4

const countOf = (tag: string): Projection<number> =>
  projection({ events: [Subscribed], tags: [tag], initial: 0, on: { Subscribed: (count) => count + 1 } })

const subscribe = boundary('subscribe', {
  command: Subscribe,
  events: [Subscribed],
  reads: ({ data }) => ({ taken: countOf(`course:${data.course}`), courses: countOf(`student:${data.student}`) }),
  decide: ({ data }, { taken, courses }) => {
    if (taken >= seatCount) return reject('COURSE_FULL')
    return courses >= coursesPerStudent ? reject('TOO_MANY_COURSES') : Subscribed(data)
  },
  // A life may be idle for longer than what is usual, and clients ask once more in the next one.
  remember: '1d',
})

/** What became of a command, as its client knows it. */
interface Told {
  readonly message: Message<string, Seat>
  kind: 'accepted' | 'rejected' | undefined
  /** Moments at which it was asked first, and told that it is rejected. */
  readonly askedAt: number
  rejected?: { readonly at: number; readonly code: string }
}

/** Students compete for seats: a rule over two things, each of which many commands are about at once. */
export class Courses implements Workload {
  readonly #setting: Setting
  readonly #told = new Map<string, Told>()

  constructor(setting: Setting) {
    this.#setting = setting
  }

  parts(_life: Life): Parts {
    return { services: [service('courses', [subscribe])] }
  }

  clients(process: Process): readonly Promise<void>[] {
    return Array.from({ length: clientCount }, () => this.#work(process))
  }

  check({ events }: Found): void {
    const { history } = this.#setting
    const counts = new Map<string, number>()
    const byCommand = new Map<string, number>()
    for (const { type, data, causationId = '', position } of events) {
      if (type !== Subscribed.type) continue
      byCommand.set(causationId, (byCommand.get(causationId) ?? 0) + 1)
      history.check(this.#told.has(causationId), 'readable ⊆ attempted', () => `${type} at ${position}`)
      const { course, student } = data as Seat
      for (const [name, max] of [
        [course, seatCount],
        [student, coursesPerStudent],
      ] as const) {
        const count = (counts.get(name) ?? 0) + 1
        counts.set(name, count)
        history.check(count <= max, 'conditional appends are serializable', () => `${name} has ${count} at ${position}`)
      }
    }
    this.#checkRejections(events.filter(({ type }) => type === Subscribed.type))
    for (const [id, { kind }] of this.#told) {
      const count = byCommand.get(id) ?? 0
      history.check(count <= 1, 'each effect once', () => `command ${id} has ${count} events`)
      if (kind === undefined) continue
      history.check(
        count === (kind === 'accepted' ? 1 : 0),
        'acknowledged ⊆ readable',
        () => `command ${id} was ${kind} and has ${count} events`,
      )
    }
  }

  /** Seats are never given back, so whatever was full when somebody was rejected is so with all that may have been stored by then. */
  #checkRejections(subscribed: readonly FoundEvent[]): void {
    for (const { message, rejected } of this.#told.values()) {
      if (rejected === undefined) continue
      const [field, max] =
        rejected.code === 'COURSE_FULL' ? (['course', seatCount] as const) : (['student', coursesPerStudent] as const)
      const name = message.data[field]
      const count = subscribed.filter(
        ({ data, causationId = '' }) =>
          (data as Seat)[field] === name && (this.#told.get(causationId)?.askedAt ?? 0) < rejected.at,
      ).length
      this.#setting.history.check(
        count >= max,
        'conditional appends are serializable',
        () => `command ${message.id} was rejected as ${rejected.code}, and ${name} had ${count} at most`,
      )
    }
  }

  async #work(process: Process): Promise<void> {
    const { life } = process
    for (let i = life.draw.int(0, this.#setting.requestCount); i > 0; i--) {
      const told = this.#next(life)
      try {
        const outcome = await process.app().ask(told.message)
        told.kind = outcome.kind
        if (outcome.kind === 'rejected') {
          told.rejected ??= { at: this.#setting.history.moment(), code: outcome.code }
        }
      } catch (error) {
        if (outcomeOfFailure(error, this.#setting.history) === 'unknown') return
      }
      await life.pause(30)
    }
  }

  #next(life: Life): Told {
    const before = [...this.#told.values()]
    if (before.length > 0 && life.draw.chance(0.15)) return life.draw.pick(before.slice(-6))
    const message = Subscribe({
      course: `c${life.draw.int(1, courseCount)}`,
      student: `s${life.draw.int(1, studentCount)}`,
    })
    const told: Told = { message, kind: undefined, askedAt: this.#setting.history.moment() }
    this.#told.set(message.id, told)
    return told
  }
}
