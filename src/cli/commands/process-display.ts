import type { ProcessHappening, ProcessInstance, ProcessPast } from '../../saga/index.ts'
import type { Output } from '../output.ts'
import { shown, shownJson, shownTime } from '../text.ts'

/** Shows all of a process to people. */
export async function showProcess(output: Output, group: string, process: ProcessInstance): Promise<void> {
  const { key, status, startedMs, endedMs, dueMs, outcome, applied, waiting, seen, cameMs } = process
  await output.fields([
    ['choreography', shown(group)],
    ['key', shown(key)],
    ['status', status],
    ['started', shownTime(startedMs)],
    ['ended', endedMs === null ? 'not yet' : shownTime(endedMs)],
    ['due', dueMs === null ? '-' : shownTime(dueMs)],
    ...(outcome === null ? [] : [['outcome', shown(outcome)] as const]),
    ['waiting', shown(waiting.join(', ')) || '-'],
    ...applied.map((rule) => ['applied', shown(rule)] as const),
  ])
  await output.line('')
  await output.table(
    [{ title: 'EVENT' }, { title: 'FIRST CAME' }, { title: 'LAST DATA' }],
    Object.entries(seen).map(([type, data]) => [
      shown(type),
      Object.hasOwn(cameMs, type) ? shownTime(cameMs[type] as number) : '-',
      shownJson(data),
    ]),
  )
}

/** What happened to a process, line by line. */
export async function showProcessPast(
  output: Output,
  happenings: readonly ProcessHappening[],
  since: ProcessPast['since'],
): Promise<void> {
  await output.line('')
  await output.table(
    [
      { title: 'TIME' },
      { title: 'HAPPENED' },
      { title: 'EVENT' },
      { title: 'ID' },
      { title: 'BECAUSE OF' },
      { title: 'APPLIED' },
      { title: 'OUTCOME' },
    ],
    happenings.map(({ timeMs, what, type, id, cause, applied, outcome, error }) => [
      shownTime(timeMs),
      what,
      shown(type ?? '-'),
      shown(id ?? '-'),
      cause === undefined ? '-' : shown(`${cause.type ?? ''} ${cause.id}`.trim()),
      shown(applied.join('; ')) || '-',
      shown(error === undefined ? (outcome ?? '-') : `${error.code ?? error.name}: ${error.message}`),
    ]),
  )
  if (since === null) return
  const from = since.timeMs === null ? 'the next thing that happens to it' : shownTime(since.timeMs)
  output.note(`Its past is known from ${from} on.`)
}
