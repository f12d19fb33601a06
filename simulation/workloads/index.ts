import type { WorkloadName } from '../plan.ts'
import type { Setting, Workload } from '../workload.ts'
import { Alarms } from './alarms.ts'
import { Bank } from './bank.ts'
import { Checkout } from './checkout.ts'
import { Counters } from './counters.ts'
import { Courses } from './courses.ts'
import { Members } from './members.ts'
import { Orders } from './orders.ts'
import { Postings } from './postings.ts'

const makers: Readonly<Record<WorkloadName, (setting: Setting) => Workload>> = {
  alarms: (setting) => new Alarms(setting),
  bank: (setting) => new Bank(setting),
  checkout: (setting) => new Checkout(setting),
  counters: (setting) => new Counters(setting),
  courses: (setting) => new Courses(setting),
  members: (setting) => new Members(setting),
  orders: (setting) => new Orders(setting),
  postings: (setting) => new Postings(setting),
}

/** The workloads of a run, each with decisions of its own. */
export function workloadsOf(names: readonly WorkloadName[], setting: Setting): readonly Workload[] {
  return names.map((name) => makers[name]({ ...setting, draw: setting.draw.fork() }))
}
