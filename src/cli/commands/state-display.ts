import type { History, Reason, ViewEvent } from '../../domain/index.ts'
import type { Output } from '../output.ts'
import { shown, shownTime } from '../text.ts'

type Change = Awaited<ReturnType<History['difference']>>['changes'][number]

/** What changed, for programs. */
export function changesJson(changes: readonly Change[]): readonly object[] {
  return changes.map(({ path, before, after }) => ({ path, before: before ?? null, after: after ?? null }))
}

/** An event and what it goes back to, for programs. */
export function reasonJson({ event, cause, correlationid, flow }: Reason<ViewEvent>): object {
  return {
    ...placeJson(event),
    type: event.message.type,
    cause: { type: cause.type ?? null, id: cause.id ?? null },
    correlationid: correlationid ?? null,
    flow: flow.map(({ stream, version, message }) => ({ stream, version, type: message.type })),
  }
}

function placeJson(event: ViewEvent): object {
  if ('position' in event) {
    const { stream, version, position } = event
    return { stream, version, position }
  }
  const { topic, partition, offset } = event
  return { topic, partition, offset }
}

/** What changed, line by line. */
export async function showChanges(output: Output, changes: readonly Change[]): Promise<void> {
  for (const { path, before, after } of changes) {
    await output.line(`changed ${shown(path || '(all)')}: ${json(before)} → ${json(after)}`)
  }
}

/** Events and what they go back to, line by line. */
export async function showReasons<Event extends ViewEvent>(
  output: Output,
  reasons: readonly Reason<Event>[],
  placeOf: (event: Event) => string,
): Promise<void> {
  for (const reason of reasons) {
    const { event, cause } = reason
    const because = `${cause.type ?? 'something'} ${cause.id ?? ''}`.trimEnd()
    await output.line(
      `${shownTime(event.timestampMs)} ${placeOf(event)} ${output.styled('bold', shown(event.message.type))} because of ${shown(because)}`,
    )
  }
}

function json(value: unknown): string {
  return value === undefined ? 'nothing' : shown(JSON.stringify(value))
}
