import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import * as dcb from '../domain/dcb-scenarios.test-support.ts'
import { boundary, type CommandOutcome, history, projection, reject } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { command, event, type Message } from '../message/index.ts'
import { append, on } from '../runtime/index.ts'
import { Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, type RunningApp, service } from './index.ts'

const ids = z.object({ courseId: z.string(), studentId: z.string() })
const seats = z.object({ courseId: z.string(), capacity: z.number() })
const CourseDefined = event('CourseDefined', { topic: 'courses', data: seats, tags: (d) => [`course:${d.courseId}`] })
const CapacityChanged = event('CapacityChanged', {
  topic: 'courses',
  data: seats,
  tags: (d) => [`course:${d.courseId}`],
})
const StudentSubscribed = event('StudentSubscribed', {
  topic: 'courses',
  data: ids,
  tags: (d) => [`course:${d.courseId}`, `student:${d.studentId}`],
})
const DefineCourse = command('DefineCourse', { data: seats })
const ChangeCapacity = command('ChangeCapacity', { data: seats })
const Subscribe = command('Subscribe', { data: ids })

const capacityOf = (courseId: string) =>
  projection({
    events: [CourseDefined, CapacityChanged],
    tags: [`course:${courseId}`],
    initial: null as number | null,
    on: { CourseDefined: (_state, { data }) => data.capacity, CapacityChanged: (_state, { data }) => data.capacity },
  })
const countOf = (...tags: readonly string[]) =>
  projection({ events: [StudentSubscribed], tags, initial: 0, on: { StudentSubscribed: (count) => count + 1 } })

const coursesMax = 5

const defineCourse = boundary('define-course', {
  command: DefineCourse,
  events: [CourseDefined],
  reads: ({ data }) => ({ capacity: capacityOf(data.courseId) }),
  decide: ({ data }, { capacity }) => (capacity === null ? CourseDefined(data) : reject('COURSE_EXISTS')),
})
const changeCapacity = boundary('change-capacity', {
  command: ChangeCapacity,
  events: [CapacityChanged],
  reads: ({ data }) => ({ capacity: capacityOf(data.courseId) }),
  decide: ({ data }, { capacity }) => {
    if (capacity === null) return reject('COURSE_UNKNOWN')
    return capacity === data.capacity ? reject('CAPACITY_UNCHANGED') : CapacityChanged(data)
  },
})
const subscribe = boundary('subscribe', {
  command: Subscribe,
  events: [StudentSubscribed],
  reads: ({ data }) => ({
    capacity: capacityOf(data.courseId),
    taken: countOf(`course:${data.courseId}`),
    courses: countOf(`student:${data.studentId}`),
    both: countOf(`course:${data.courseId}`, `student:${data.studentId}`),
  }),
  decide: ({ data }, { capacity, taken, courses, both }) => {
    if (capacity === null) return reject('COURSE_UNKNOWN')
    if (taken >= capacity) return reject('COURSE_FULL')
    if (both > 0) return reject('SUBSCRIBED_ALREADY')
    return courses >= coursesMax ? reject('TOO_MANY_COURSES') : StudentSubscribed(data)
  },
})
const school = app('school', { services: [service('courses', [defineCourse, changeCapacity, subscribe])] })

const kindOf = (outcome: CommandOutcome): string => (outcome.kind === 'rejected' ? outcome.code : outcome.kind)
const ask = async (running: RunningApp, one: Message): Promise<string> => kindOf(await running.ask(one))
const join = (courseId: string, studentId: string): Message => Subscribe({ courseId, studentId })

async function countEvents(engine: Engine, ...tags: readonly string[]): Promise<number> {
  const query = { items: [{ types: ['StudentSubscribed'], tags }] }
  return (await Array.fromAsync(engine.events.readAll({ query }))).length
}

/** Boundaries over tags, and the scenarios of dcb.events. */
export function testBoundaries(ground: AppGround): void {
  describe('an event that a handler appends', () => {
    it('has the tags of its definition, and counts', async () => {
      await using engine = await ground.open()
      const enroll = on(Placed, ({ data }) =>
        append('imported', StudentSubscribed({ courseId: 'c', studentId: data.id })),
      )
      const both = app('school', {
        services: [service('courses', [defineCourse, subscribe]), service('import', [enroll])],
      })
      await using running = await both.start({ engine })
      await running.ask(DefineCourse({ courseId: 'c', capacity: 1 }))
      await running.publish(Placed({ id: 's1', n: 0 }))
      await running.idle()
      expect(await ask(running, join('c', 's2'))).toBe('COURSE_FULL')
    })
  })

  describe('course subscriptions', () => {
    it('keep what holds for a course, for a student and for both', async () => {
      await using engine = await ground.open()
      await using running = await school.start({ engine })
      expect(await ask(running, join('c0', 's1'))).toBe('COURSE_UNKNOWN')
      expect(await ask(running, ChangeCapacity({ courseId: 'c0', capacity: 1 }))).toBe('COURSE_UNKNOWN')
      for (let n = 0; n <= coursesMax; n++) await running.ask(DefineCourse({ courseId: `c${n}`, capacity: 2 }))
      expect(await ask(running, DefineCourse({ courseId: 'c0', capacity: 2 }))).toBe('COURSE_EXISTS')
      expect(await ask(running, join('c0', 's1'))).toBe('accepted')
      expect(await ask(running, join('c0', 's1'))).toBe('SUBSCRIBED_ALREADY')
      expect(await ask(running, join('c0', 's2'))).toBe('accepted')
      expect(await ask(running, join('c0', 's3'))).toBe('COURSE_FULL')
      expect(await ask(running, ChangeCapacity({ courseId: 'c0', capacity: 2 }))).toBe('CAPACITY_UNCHANGED')
      await running.ask(ChangeCapacity({ courseId: 'c0', capacity: 3 }))
      expect(await ask(running, join('c0', 's3'))).toBe('accepted')
      for (let n = 1; n < coursesMax; n++) expect(await ask(running, join(`c${n}`, 's1'))).toBe('accepted')
      expect(await ask(running, join(`c${coursesMax}`, 's1'))).toBe('TOO_MANY_COURSES')
      const [last] = await Array.fromAsync(engine.events.readAll({ direction: 'backward', limit: 1 }))
      expect(last?.tags).toEqual(['course:c4', 'student:s1'])
    })

    it('hold when everybody comes at once, from two starts of the app', async () => {
      await using engine = await ground.open()
      await using first = await school.start({ engine })
      await using second = await school.start({ engine })
      for (let n = 0; n < 8; n++) await first.ask(DefineCourse({ courseId: `c${n}`, capacity: 3 }))
      const asked = Array.from({ length: 8 }, (_, course) =>
        Array.from({ length: 6 }, (_unused, student) =>
          ask((course + student) % 2 === 0 ? first : second, join(`c${course}`, `s${student}`)),
        ),
      ).flat()
      const kinds = await Promise.all(asked)
      const accepted = kinds.filter((kind) => kind === 'accepted').length
      expect(accepted).toBe(await countEvents(engine))
      for (let n = 0; n < 8; n++) expect(await countEvents(engine, `course:c${n}`)).toBeLessThanOrEqual(3)
      for (let n = 0; n < 6; n++) expect(await countEvents(engine, `student:s${n}`)).toBeLessThanOrEqual(coursesMax)
      // 8 courses of 3 seats: all are taken, since 6 students want 5 courses each.
      expect(accepted).toBeGreaterThanOrEqual(22)
    })

    it('are decided the same way when they are sent', async () => {
      await using engine = await ground.open()
      await using running = await school.start({ engine })
      await running.ask(DefineCourse({ courseId: 'c', capacity: 4 }))
      await Promise.all(Array.from({ length: 12 }, (_, n) => running.send(join('c', `s${n}`))))
      await running.idle()
      expect(await countEvents(engine, 'course:c')).toBe(4)
      expect(await running.deadLetters.list()).toEqual([])
    })

    it.each([
      ['a promise', async () => ({})],
      ['nothing', () => undefined],
      ['what is no projection', () => ({ seats: { tags: ['course:c'] } })],
    ])('are not decided on %s', async (_what, reads) => {
      await using engine = await ground.open()
      const wrong = boundary('wrong', {
        command: Subscribe,
        events: [StudentSubscribed],
        reads: reads as unknown as () => Record<string, ReturnType<typeof countOf>>,
        decide: () => [],
      })
      await using running = await app('wrong', { services: [service('s', [wrong])] }).start({ engine })
      await expect(running.ask(join('c', 's'))).rejects.toMatchObject({
        code: 'OPTIONS_INVALID',
        details: { problems: [{ option: 'reads' }] },
      })
    })

    it('repeat their outcome for the same command', async () => {
      await using engine = await ground.open()
      await using running = await school.start({ engine })
      await running.ask(DefineCourse({ courseId: 'c', capacity: 1 }))
      const one = join('c', 's1')
      const other = join('c', 's2')
      const outcomes = [
        await running.ask(one),
        await running.ask(other),
        await running.ask(one),
        await running.ask(other),
      ]
      expect(outcomes.map((outcome) => [kindOf(outcome), outcome.repeated])).toEqual([
        ['accepted', false],
        ['COURSE_FULL', false],
        ['accepted', true],
        ['COURSE_FULL', true],
      ])
      expect(outcomes[2]).toMatchObject({ events: [{ type: 'StudentSubscribed', data: { studentId: 's1' } }] })
    })
  })

  describe('several streams in one commit', () => {
    const amount = z.object({ from: z.string(), to: z.string(), amount: z.number() })
    const Move = command('Move', { data: amount })
    const Taken = event('Taken', { topic: 'moves', data: amount, tags: (d) => [`account:${d.from}`] })
    const Given = event('Given', { topic: 'moves', data: amount, tags: (d) => [`account:${d.to}`] })
    const balanceOf = (id: string) =>
      projection({
        events: [Taken, Given],
        tags: [`account:${id}`],
        initial: 10,
        on: {
          Taken: (balance, { data }) => balance - data.amount,
          Given: (balance, { data }) => balance + data.amount,
        },
      })
    const move = boundary('move', {
      command: Move,
      events: [Taken, Given],
      reads: ({ data }) => ({ from: balanceOf(data.from) }),
      decide: ({ data }, { from }) => (from < data.amount ? reject('TOO_LITTLE') : [Taken(data), Given(data)]),
      stream: (one) => `account-${one.type === 'Taken' ? one.data.from : one.data.to}`,
    })

    it('are all written or none, and nothing is lost between them', async () => {
      await using engine = await ground.open()
      const bank = app('bank', { services: [service('s', [move])] })
      await using first = await bank.start({ engine })
      await using second = await bank.start({ engine })
      const ids = ['a', 'b', 'c']
      const outcomes = await Promise.all(
        Array.from({ length: 60 }, (_, n) => {
          const data = { from: ids[n % 3] as string, to: ids[(n + 1 + (n % 2)) % 3] as string, amount: 1 + (n % 7) }
          return (n % 2 === 0 ? first : second).ask(Move(data))
        }),
      )
      const past = history(engine)
      const balances = await Promise.all(
        ids.map(async (id) => (await past.projections({ balance: balanceOf(id) })).balance),
      )
      expect(balances.reduce((sum, one) => sum + one, 0)).toBe(30)
      for (const balance of balances) expect(balance).toBeGreaterThanOrEqual(0)
      const accepted = outcomes.filter(({ kind }) => kind === 'accepted').length
      const versions = await Promise.all(ids.map((id) => engine.events.describeStream(`account-${id}`)))
      expect(versions.reduce((sum, one) => sum + (one?.version ?? 0), 0)).toBe(2 * accepted)
      expect(accepted).toBeGreaterThan(10)
      expect((await past.projections({ balance: balanceOf('a') }, { position: 0 })).balance).toBe(10)
      expect((await past.projections({ balance: balanceOf('a') }, { time: 0 })).balance).toBe(10)
    })
  })

  describe('the scenarios of dcb.events', () => {
    const { registerAccount, closeAccount, createInvoice, confirmSignUp, placeOrder, buyProducts } = dcb
    const scenarios = app('dcb', {
      services: [service('s', [registerAccount, closeAccount, createInvoice, confirmSignUp, placeOrder, buyProducts])],
    })

    it('unique username: one of many gets it, and it is held back for a while', async () => {
      await using engine = await ground.open()
      await using running = await scenarios.start({ engine })
      const register = (username: string, day: number): Message => dcb.Register({ username, day: String(day) })
      const kinds = await Promise.all(Array.from({ length: 10 }, () => ask(running, register('u1', 0))))
      expect(kinds.toSorted()).toEqual([...Array.from({ length: 9 }, () => 'USERNAME_TAKEN'), 'accepted'])
      expect(await ask(running, register('u2', 0))).toBe('accepted')
      expect(await ask(running, dcb.CloseAccount({ username: 'u1', day: '10' }))).toBe('accepted')
      expect(await ask(running, register('u1', 12))).toBe('USERNAME_HELD_BACK')
      expect(await ask(running, register('u1', 14))).toBe('accepted')
    })

    it('invoice numbers: one after the other, without gaps', async () => {
      await using engine = await ground.open()
      await using first = await scenarios.start({ engine })
      await using second = await scenarios.start({ engine })
      const outcomes = await Promise.all(
        Array.from({ length: 16 }, (_, n) =>
          (n % 2 === 0 ? first : second).ask(dcb.CreateInvoice({ customer: `c${n}` })),
        ),
      )
      const numbers = outcomes.flatMap((one) =>
        one.kind === 'accepted' ? one.events.map(({ data }) => Number((data as { invoice: string }).invoice)) : [],
      )
      expect(numbers.toSorted((a, b) => a - b)).toEqual(Array.from({ length: 16 }, (_, n) => n + 1))
    })

    it('opt-in token: the code of this address works once', async () => {
      await using engine = await ground.open()
      await using running = await scenarios.start({ engine })
      const started = dcb.SignUpStarted({ email: 'a@x', otp: '11', name: 'A' })
      await engine.commit({
        append: [{ stream: 'sign-ups', events: [{ message: started, tags: ['email:a@x', 'otp:11'] }] }],
      })
      const confirm = (email: string, otp: string): Promise<string> => ask(running, dcb.ConfirmSignUp({ email, otp }))
      expect(await confirm('a@x', '12')).toBe('NO_PENDING_SIGN_UP')
      expect(await confirm('b@x', '11')).toBe('NO_PENDING_SIGN_UP')
      const kinds = await Promise.all(Array.from({ length: 5 }, () => confirm('a@x', '11')))
      expect(kinds.toSorted()).toEqual(['CODE_USED', 'CODE_USED', 'CODE_USED', 'CODE_USED', 'accepted'])
    })

    it('record duplication: the token of the client lets one order through', async () => {
      await using engine = await ground.open()
      await using running = await scenarios.start({ engine })
      const place = (order: string, token: string): Promise<string> => ask(running, dcb.PlaceOrder({ order, token }))
      expect(await Promise.all([place('1', 't1'), place('2', 't1'), place('3', 't2')])).toEqual([
        'accepted',
        'RESUBMISSION',
        'accepted',
      ])
    })

    it('product price: the one that was shown counts within the grace period, for all products or none', async () => {
      await using engine = await ground.open()
      await using running = await scenarios.start({ engine })
      const given = [
        dcb.ProductDefined({ product: 'p1', price: '100' }),
        dcb.ProductDefined({ product: 'p2', price: '50' }),
        dcb.PriceChanged({ product: 'p1', price: '120', minute: '60' }),
      ]
      for (const message of given) {
        const tags = [`product:${(message.data as { product: string }).product}`]
        await engine.commit({ append: [{ stream: 'products', events: [{ message, tags }] }] })
      }
      const buy = (minute: number, prices: Record<string, string>): Promise<string> =>
        ask(running, dcb.BuyProducts({ minute: String(minute), ...prices }))
      expect(await buy(59, { 'product:p1': '100' })).toBe('accepted')
      expect(await buy(59, { 'product:p1': '120' })).toBe('PRICE_INVALID')
      expect(await buy(65, { 'product:p1': '100' })).toBe('accepted')
      expect(await buy(65, { 'product:p1': '120', 'product:p2': '50' })).toBe('accepted')
      expect(await buy(71, { 'product:p1': '100' })).toBe('PRICE_INVALID')
      expect(await buy(71, { 'product:p1': '120', 'product:p2': '49' })).toBe('PRICE_INVALID')
      expect(await buy(71, { 'product:p3': '1' })).toBe('PRICE_INVALID')
    })
  })
}
