import { emmettOnSqlite, viewKeepers } from '../contenders.ts'
import { Rivals } from '../rivals.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'

/** What it means that the view is kept, by the beginning of the name. */
const kept: readonly (readonly [string, string])[] = [
  ['Millrace', 'counts and progress in one commit, synced, a commit for many events'],
  ['Emmett on PostgreSQL, rows', 'rows and progress in one commit for 1,000 events, each written for each event'],
  ['Emmett on PostgreSQL, documents', 'documents and progress in one commit for 1,000 events, each for each event'],
  ['event-storage', 'all counts and progress in one file, written anew for each 11 events, never synced'],
]

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  await using rivals = await Rivals.open(folder, viewKeepers)
  // Who speaks to a server for each event would take an hour for what others do in seconds; that it has fewer events costs it
  // nothing.
  const full = quick ? 50_000 : 1_000_000
  const countOf = (name: string): number => (name.startsWith('Emmett') ? full / (quick ? 25 : 50) : full)
  const settings = (name: string) => ({ count: countOf(name) })
  await rivals.prepare('prepareView', settings)
  const notes = (name: string): readonly string[] => [
    ...kept.filter(([beginning]) => name.startsWith(beginning)).map(([, note]) => `kept: ${note}`),
    ...(name.endsWith('rows by SQL') ? [emmettOnSqlite] : []),
    ...(countOf(name) === full ? [] : [`over ${countOf(name).toLocaleString('en-US')} events only`]),
  ]
  const what = `view of 1,000 counts over ${full.toLocaleString('en-US')} events`
  return await rivals.measure({ what, unit: 'events/s', task: 'project', settings, notes }, quick ? 2 : 3)
}

/** A view that the system keeps, from nothing to the last event that there is. */
export const rivalsRebuild: BenchRow = { title: 'Beside event stores that keep views', run }
