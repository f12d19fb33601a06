import { z } from 'zod'
import { boundary, command, event, projection, reject, view } from '../../src/index.ts'

const course = z.object({ courseId: z.string(), capacity: z.number().int().positive() })
const subscription = z.object({ courseId: z.string(), studentId: z.string() })

export const DefineCourse = command('DefineCourse', { data: course })
export const ChangeCapacity = command('ChangeCapacity', { data: course })
export const Subscribe = command('Subscribe', { data: subscription })

// A tag names what an event is about. An event about two things has two tags, and stands in no stream of either.
const courseTag = (courseId: string): string => `course:${courseId}`
const studentTag = (studentId: string): string => `student:${studentId}`

export const CourseDefined = event('CourseDefined', {
  topic: 'courses',
  data: course,
  tags: (data) => [courseTag(data.courseId)],
})
export const CapacityChanged = event('CapacityChanged', {
  topic: 'courses',
  data: course,
  tags: (data) => [courseTag(data.courseId)],
})
export const StudentSubscribed = event('StudentSubscribed', {
  topic: 'courses',
  data: subscription,
  key: (data) => data.courseId,
  tags: (data) => [courseTag(data.courseId), studentTag(data.studentId)],
})

/** How many courses a student may take. */
export const coursesMax = 5

const noCourse: number | null = null as number | null

/** Seats of a course; `null`: there is no such course. */
const capacityOf = (courseId: string) =>
  projection({
    events: [CourseDefined, CapacityChanged],
    tags: [courseTag(courseId)],
    initial: noCourse,
    on: {
      CourseDefined: (_capacity, { data }) => data.capacity,
      CapacityChanged: (_capacity, { data }) => data.capacity,
    },
  })

/** How many subscriptions have all of these tags. */
const subscriptionsOf = (...tags: readonly string[]) =>
  projection({
    events: [StudentSubscribed],
    tags,
    initial: 0,
    on: { StudentSubscribed: (count) => count + 1 },
  })

export const defineCourse = boundary('define-course', {
  command: DefineCourse,
  events: [CourseDefined],
  reads: ({ data }) => ({ capacity: capacityOf(data.courseId) }),
  decide: ({ data }, { capacity }) => (capacity === null ? CourseDefined(data) : reject('COURSE_EXISTS')),
})

export const changeCapacity = boundary('change-capacity', {
  command: ChangeCapacity,
  events: [CapacityChanged],
  reads: ({ data }) => ({ capacity: capacityOf(data.courseId) }),
  decide: ({ data }, { capacity }) => {
    if (capacity === null) return reject('COURSE_UNKNOWN')
    return capacity === data.capacity ? undefined : CapacityChanged(data)
  },
})

/** A course has seats, and a student fewer than five courses: one decision over both. */
export const subscribe = boundary('subscribe', {
  command: Subscribe,
  events: [StudentSubscribed],
  reads: ({ data: { courseId, studentId } }) => ({
    capacity: capacityOf(courseId),
    taken: subscriptionsOf(courseTag(courseId)),
    courses: subscriptionsOf(studentTag(studentId)),
    both: subscriptionsOf(courseTag(courseId), studentTag(studentId)),
  }),
  decide: ({ data }, { capacity, taken, courses, both }) => {
    if (capacity === null) return reject('COURSE_UNKNOWN')
    if (both > 0) return reject('SUBSCRIBED_ALREADY')
    if (taken >= capacity) return reject('COURSE_FULL')
    return courses >= coursesMax ? reject('TOO_MANY_COURSES') : StudentSubscribed(data)
  },
})

const nobody: readonly string[] = []

/** Who takes which course. */
export const participants = view('participants', {
  events: [StudentSubscribed],
  key: ({ data }) => data.courseId,
  initial: nobody,
  on: { StudentSubscribed: (students, { data }) => [...students, data.studentId] },
})
