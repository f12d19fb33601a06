import type { History, Reason } from '../../domain/index.ts'
import type { Output } from '../output.ts'
import { shown, shownTime } from '../text.ts'

type Change = Awaited<ReturnType<History['difference']>>['changes'][number]

/** What changed, for programs. */
export function changesJson(changes: readonly Change[]): readonly object[] {
  return changes.map(({ path, before, after }) => ({ path, before: before ?? null, after: after ?? null }))
}

/** An event and what it goes back to, for programs. */
export function reasonJson({ event, cause, correlationid, flow }: Reason): object {
  return {
    stream: event.stream,
    version: event.version,
    position: event.position,
    type: event.message.type,
    cause: { type: cause.type ?? null, id: cause.id ?? null },
    correlationid: correlationid ?? null,
    flow: flow.map(({ stream, version, message }) => ({ stream, version, type: message.type })),
  }
}

/** What changed, line by line. */
export async function showChanges(output: Output, changes: readonly Change[]): Promise<void> {
  for (const { path, before, after } of changes) {
    await output.line(`changed ${shown(path || '(all)')}: ${json(before)} → ${json(after)}`)
  }
}

/** Events and what they go back to, line by line. */
export async function showReasons(
  output: Output,
  reasons: readonly Reason[],
  placeOf: (reason: Reason) => string,
): Promise<void> {
  for (const reason of reasons) {
    const { event, cause } = reason
    const because = `${cause.type ?? 'something'} ${cause.id ?? ''}`.trimEnd()
    await output.line(
      `${shownTime(event.timestampMs)} ${placeOf(reason)} ${output.styled('bold', shown(event.message.type))} because of ${shown(because)}`,
    )
  }
}

function json(value: unknown): string {
  return value === undefined ? 'nothing' : shown(JSON.stringify(value))
}
