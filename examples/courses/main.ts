// Course subscriptions: a rule over a course and a student at once, without a lock, a saga or a table that both share.
// After the example of dcb.events. Run it with: node examples/courses/main.ts
import { embedded } from '../../src/embedded/index.ts'
import { app, type CommandOutcome, service } from '../../src/index.ts'
import {
  ChangeCapacity,
  changeCapacity,
  coursesMax,
  DefineCourse,
  defineCourse,
  participants,
  Subscribe,
  subscribe,
} from './courses.ts'

const school = app('school', {
  services: [service('courses', [defineCourse, changeCapacity, subscribe])],
  views: [participants],
})

const print = (line: string): boolean => process.stdout.write(`${line}\n`)
const shown = (outcome: CommandOutcome): string => (outcome.kind === 'accepted' ? 'accepted' : outcome.code)

/** How often each outcome came, in the order of their names. */
function counted(outcomes: readonly CommandOutcome[]): string {
  const counts = new Map<string, number>()
  for (const one of outcomes.map(shown)) counts.set(one, (counts.get(one) ?? 0) + 1)
  return [...counts]
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([what, count]) => `${count} × ${what}`)
    .join(', ')
}

await using running = await school.start({ engine: embedded({ path: ':memory:' }) })

print(`c0 before it is there: ${shown(await running.ask(Subscribe({ courseId: 'c0', studentId: 's0' })))}`)
for (let n = 0; n <= coursesMax; n++) await running.ask(DefineCourse({ courseId: `c${n}`, capacity: 10 }))
print(`c0 defined again: ${shown(await running.ask(DefineCourse({ courseId: 'c0', capacity: 10 })))}`)

const rush = Array.from({ length: 40 }, (_, n) => running.ask(Subscribe({ courseId: 'c0', studentId: `s${n}` })))
print(`40 students at once for the 10 seats of c0: ${counted(await Promise.all(rush))}`)

await running.ask(ChangeCapacity({ courseId: 'c0', capacity: 12 }))
const late = Array.from({ length: 4 }, (_, n) => running.ask(Subscribe({ courseId: 'c0', studentId: `late${n}` })))
print(`4 more after it was given 12: ${counted(await Promise.all(late))}`)

const all = Array.from({ length: coursesMax + 1 }, (_, n) =>
  running.ask(Subscribe({ courseId: `c${n}`, studentId: 'eager' })),
)
print(`one student at once for ${coursesMax + 1} courses, one of them full: ${counted(await Promise.all(all))}`)
print(`and again for c1: ${shown(await running.ask(Subscribe({ courseId: 'c1', studentId: 'eager' })))}`)

await running.idle()
for await (const { key, value } of running.view(participants).list()) print(`${key}: ${value.length} participants`)
