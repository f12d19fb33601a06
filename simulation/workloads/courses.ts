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
import type { Found, Parts, Process, Setting, Workload } from '../workload.ts'

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

/** Students compete for seats: a rule over two things, each of which many commands are about at once. */
export class Courses implements Workload {
  readonly #setting: Setting
  readonly #told = new Map<string, { readonly message: Message; kind: 'accepted' | 'rejected' | undefined }>()

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

  async #work(process: Process): Promise<void> {
    const { life } = process
    for (let i = life.draw.int(0, this.#setting.requestCount); i > 0; i--) {
      const told = this.#next(life)
      try {
        const { kind } = await process.app().ask(told.message)
        told.kind = kind
      } catch (error) {
        if (outcomeOfFailure(error, this.#setting.history) === 'unknown') return
      }
      await life.pause(30)
    }
  }

  #next(life: Life): { readonly message: Message; kind: 'accepted' | 'rejected' | undefined } {
    const before = [...this.#told.values()]
    if (before.length > 0 && life.draw.chance(0.15)) return life.draw.pick(before.slice(-6))
    const message = Subscribe({
      course: `c${life.draw.int(1, courseCount)}`,
      student: `s${life.draw.int(1, studentCount)}`,
    })
    const told = { message, kind: undefined }
    this.#told.set(message.id, told)
    return told
  }
}
