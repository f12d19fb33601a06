import { mermaid, type SagaHappening, type SagaInstance } from '../../saga/index.ts'
import type { Output } from '../output.ts'
import { shown, shownJson, shownLines, shownTime } from '../text.ts'

/** Shows all of an instance to people. */
export async function showInstance(output: Output, app: string, instance: SagaInstance): Promise<void> {
  const { saga, key, status, version, startedMs, changedMs, endedMs, parked, failure } = instance
  await output.fields([
    ['saga', shown(saga)],
    ['app', shown(app)],
    ['key', shown(key)],
    ['status', status],
    ['version', String(version)],
    ['started', shownTime(startedMs)],
    ['changed', shownTime(changedMs)],
    ['ended', endedMs === null ? 'not yet' : shownTime(endedMs)],
    ['input', shownJson(instance.input)],
    ...(instance.shown === null ? [] : [['shows', shownJson(instance.shown)] as const]),
    ...(status === 'completed' ? [['result', shownJson(instance.result)] as const] : []),
    ...(failure === null ? [] : [['failure', shown(`${failure.code ?? failure.name}: ${failure.message}`)] as const]),
    ...(failure?.remedy === undefined ? [] : [['remedy', shown(failure.remedy)] as const]),
    ...(parked === null ? [] : [['parked', shown(`${parked.problem} ${parked.remedy}`)] as const]),
    ['signals', `${instance.signalCount} waiting`],
  ])
  await output.line('')
  await output.table(
    [
      { title: 'ASKED FOR' },
      { title: 'STATE' },
      { title: 'FAILURES', align: 'right' },
      { title: 'DUE' },
      { title: 'OUTCOME' },
    ],
    instance.activities.map(({ id, state, attempts, dueMs, error, output: given }) => [
      shown(id),
      state,
      String(attempts),
      dueMs === null ? '-' : shownTime(dueMs),
      error === null
        ? given === null
          ? '-'
          : shownJson(given)
        : shown(`${error.code ?? error.name}: ${error.message}`),
    ]),
  )
}

/** What happened to an instance, line by line. */
export async function showPast(output: Output, happenings: readonly SagaHappening[]): Promise<void> {
  await output.line('')
  await output.table(
    [{ title: 'TIME' }, { title: 'HAPPENED' }, { title: 'TO' }, { title: 'PROBLEM' }],
    happenings.map(({ timeMs, what, id, state, error }) => [
      shownTime(timeMs),
      what === 'outcome' ? `outcome: ${state}` : what,
      id === undefined ? '-' : shown(id),
      error === undefined ? '-' : shown(`${error.code ?? error.name}: ${error.message}`),
    ]),
  )
}

/** The instance as a diagram. */
export async function showDiagram(output: Output, instance: SagaInstance): Promise<void> {
  await output.line(shownLines(mermaid(instance).trimEnd()))
}
