import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { boundary, projection, reject, retag } from '../domain/index.ts'
import { command, event, upcastFrom } from '../message/index.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, service } from './index.ts'

const ids = z.object({ courseId: z.string(), studentId: z.string() })
const Subscribe = command('Subscribe', { data: ids })

/** What students were subscribed by before there were boundaries, and what they are now. */
const Old = event('StudentSubscribed', {
  topic: 'courses',
  data: z.object({ course: z.string(), student: z.string() }),
})
const Subscribed = event('StudentSubscribed', {
  topic: 'courses',
  version: 2,
  data: ids,
  upcast: upcastFrom(1, (old) => {
    const { course, student } = z.object({ course: z.string(), student: z.string() }).parse(old)
    if (student === 'nobody') throw new Error('of nobody nothing is known')
    return { courseId: course, studentId: student }
  }),
  tags: (data) => [`course:${data.courseId}`, `student:${data.studentId}`],
})
const Untagged = event('CourseNamed', { topic: 'courses', data: z.object({ name: z.string() }) })

const seatsTaken = (courseId: string) =>
  projection({
    events: [Subscribed],
    tags: [`course:${courseId}`],
    initial: 0,
    on: { StudentSubscribed: (count) => count + 1 },
  })
const subscribe = boundary('subscribe', {
  command: Subscribe,
  events: [Subscribed],
  reads: ({ data }) => ({ taken: seatsTaken(data.courseId) }),
  decide: ({ data }, { taken }) => (taken >= 3 ? reject('COURSE_FULL') : Subscribed(data)),
})
const school = app('school', { services: [service('courses', [subscribe])] })

/** Tags for events that stood there before. */
export function testRetag(ground: AppGround): void {
  describe('events of before a definition had tags', () => {
    it('count in boundaries once they have got them', async () => {
      await using engine = await ground.open()
      const stored = ['a', 'b', 'nobody'].map((student) => ({ message: Old({ course: 'c', student }) }))
      await engine.commit({ append: [{ stream: 'old', events: [...stored, { message: Untagged({ name: 'c' }) }] }] })
      await using running = await school.start({ engine })
      const ask = async (studentId: string) => (await running.ask(Subscribe({ courseId: 'c', studentId }))).kind
      expect(await ask('d')).toBe('accepted')
      const dry = await retag(engine, [Subscribed, Untagged], { dryRun: true })
      const report = {
        types: [
          { type: 'CourseNamed', events: 1, changed: 0, tagsAdded: 0 },
          { type: 'StudentSubscribed', events: 4, changed: 2, tagsAdded: 4 },
        ],
        unreadable: [{ stream: 'old', version: 3, type: 'StudentSubscribed' }],
        unreadableCount: 1,
      }
      expect(dry).toMatchObject(report)
      const tagged = async (tag: string): Promise<number> =>
        (await Array.fromAsync(engine.events.readAll({ query: { items: [{ tags: [tag] }] } }))).length
      expect(await tagged('course:c')).toBe(1)
      const places: number[] = []
      const onProgress = (position: number, last: number): number => places.push(position / last)
      expect(await retag(engine, [Subscribed, Untagged], { onProgress })).toMatchObject(report)
      expect(places.at(-1)).toBe(1)
      expect([await tagged('course:c'), await tagged('student:b'), await tagged('student:nobody')]).toEqual([3, 1, 0])
      expect(await ask('e')).toBe('rejected')
      expect(await retag(engine, [Subscribed])).toMatchObject({ types: [{ events: 4, changed: 0, tagsAdded: 0 }] })
    })

    it('get them in pieces, and what was cut off goes on', async () => {
      await using engine = await ground.open()
      const count = 1200
      for (let n = 0; n < count; n += 400) {
        const events = Array.from({ length: 400 }, (_, i) => ({ message: Old({ course: 'c', student: `s${n + i}` }) }))
        await engine.commit({ append: [{ stream: 'old', events }] })
      }
      const cut = new AbortController()
      const onProgress = (position: number): void => {
        if (position > count / 2) cut.abort(new Error('enough'))
      }
      await expect(retag(engine, [Subscribed], { signal: cut.signal, onProgress })).rejects.toThrow('enough')
      const done = await retag(engine, [Subscribed])
      expect(done.types).toMatchObject([{ events: count, changed: expect.any(Number) }])
      expect(done.types[0]?.changed).toBeLessThan(count)
      const query = { items: [{ tags: ['course:c'] }] }
      expect(await Array.fromAsync(engine.events.readAll({ query }))).toHaveLength(count)
    })

    it('are left alone by bad arguments', async () => {
      await using engine = await ground.open()
      const refused = expect.objectContaining({ code: 'ARGUMENT_INVALID' })
      for (const definitions of [undefined, {}, [null], [Subscribe]])
        await expect(retag(engine, definitions as never)).rejects.toThrow(refused)
      await expect(retag(undefined as never, [Subscribed])).rejects.toThrow(
        expect.objectContaining({ code: expect.any(String) }),
      )
      await engine.commit({ append: [{ stream: 's', events: [{ message: Untagged({ name: 'c' }) }] }] })
      for (const tags of [[''], 'abc', new Set(['a']), null, [1], Promise.resolve(['a'])]) {
        const tagsOf = (): readonly string[] => tags as readonly string[]
        const Wrong = event('CourseNamed', { topic: 'courses', data: z.object({ name: z.string() }), tags: tagsOf })
        for (const dryRun of [true, false]) await expect(retag(engine, [Wrong], { dryRun })).rejects.toThrow(refused)
        await expect(retag(engine, [Untagged, Wrong])).rejects.toThrow(refused)
      }
      for (const options of [{ dryrun: true }, { dryRun: 1 }, { onProgress: 5 }, { signal: 5 }, 5])
        await expect(retag(engine, [Untagged], options as never)).rejects.toThrow(refused)
      expect((await Array.fromAsync(engine.events.readAll())).map(({ tags }) => tags)).toEqual([[]])
    })
  })
}
