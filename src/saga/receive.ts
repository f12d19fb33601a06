import type { Json } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import { originOf } from './body-scope.ts'
import { beginCompensation } from './drive.ts'
import type { SagaInput } from './inputs.ts'
import {
  type ChildEntry,
  draftOf,
  type ErrorNote,
  expectedJournal,
  type InboxItem,
  isChildOf,
  isEnded,
  isThere,
  type Journal,
  type JournalDraft,
  putEntry,
  type StepEntry,
} from './journal.ts'
import { resume, skipped } from './skip.ts'
import { hasRoom } from './waiting.ts'

/** What an input makes of an instance. */
export type Received =
  /** It does not concern the instance, or nothing can come of it any more. */
  | { readonly kind: 'ignored' }
  /** It is kept until the body comes to it. */
  | { readonly kind: 'kept'; readonly draft: JournalDraft }
  | { readonly kind: 'drives'; readonly draft: JournalDraft }
  | { readonly kind: 'inbox-full' }
  /** A signal to an instance that has ended, or is being compensated: its body asks for nothing more. */
  | { readonly kind: 'late' }
  /** Nothing has started the instance. */
  | { readonly kind: 'absent' }
  /** A child that a parent wants to be compensated is not there. */
  | { readonly kind: 'gone' }
  /** A parent wants to start a child where there is another instance. */
  | { readonly kind: 'taken' }

const ignored: Received = Object.freeze({ kind: 'ignored' })
const late: Received = Object.freeze({ kind: 'late' })
const absent: Received = Object.freeze({ kind: 'absent' })

/** Takes in what an instance is told. Pure. */
export function receive(
  journal: Journal | null,
  input: SagaInput,
  message: Message,
  version: number,
  nowMs: number,
): Received {
  if (journal?.taken?.includes(message.id) === true) return { kind: 'drives', draft: draftOf(journal) }
  switch (input.kind) {
    case 'start':
      return start(journal, input, message, version, nowMs)
    case 'signal':
      return signal(journal, itemOf(input, message), nowMs)
    case 'cancel':
      if (!isThere(journal)) return absent
      if (isEnded(journal.status)) return ignored
      return compensation(journal, { name: 'Cancelled', message: input.reason }, nowMs)
    case 'compensate':
      // What a parent has not started itself, it does not undo.
      if (input.parent !== undefined && !isChildOf(journal, input.parent)) return { kind: 'gone' }
      if (!isThere(journal)) return absent
      // It answers once more, in case that its parent has not heard of it.
      if (journal.status === 'compensated') return { kind: 'drives', draft: draftOf(journal) }
      return compensation(journal, { name: 'Compensated', message: input.reason }, nowMs)
    case 'retry':
      return retry(journal)
    case 'skip':
      return skip(journal, input.step, input.output, nowMs)
    case 'child':
      return childEnded(journal, input, nowMs)
  }
}

function start(
  journal: Journal | null,
  { input, dataversion, parent }: Extract<SagaInput, { readonly kind: 'start' }>,
  message: Message,
  version: number,
  nowMs: number,
): Received {
  // Of an instance that is there already a start says nothing new; but a parent would wait for it.
  if (isThere(journal)) return parent === undefined || isChildOf(journal, parent) ? ignored : { kind: 'taken' }
  const draft = draftOf(journal ?? expectedJournal(nowMs))
  Object.assign(draft, {
    id: message.id,
    version,
    status: 'running',
    input,
    ...(dataversion !== undefined && { inputVersion: dataversion }),
    origin: originOf(message),
    ...(parent !== undefined && { parent }),
    startedMs: nowMs,
    changedMs: nowMs,
  } satisfies Partial<Journal>)
  return { kind: 'drives', draft }
}

function itemOf(
  { name, data, dataversion }: Extract<SagaInput, { readonly kind: 'signal' }>,
  message: Message,
): InboxItem {
  const { id, type, correlationid } = originOf(message)
  return {
    name,
    data,
    ...(dataversion !== undefined && { version: dataversion }),
    message: { id, type, correlationid },
  }
}

function signal(journal: Journal | null, item: InboxItem, nowMs: number): Received {
  if (journal !== null && (isEnded(journal.status) || journal.status === 'compensating')) return late
  const draft = draftOf(journal ?? expectedJournal(nowMs))
  if (!hasRoom(draft.inbox, item)) return { kind: 'inbox-full' }
  draft.inbox.push(item)
  draft.changedMs = nowMs
  const isAwaited = draft.entries.some(
    (entry) => entry.op === 'signal' && entry.order === undefined && entry.name === item.name,
  )
  return { kind: draft.status === 'running' && isAwaited ? 'drives' : 'kept', draft }
}

/** Signals whose time was up come once more, for an instance that has been started since. */
export function signalAgain(
  journal: Journal | null,
  signals: readonly InboxItem[],
  id: string,
  nowMs: number,
): Received {
  if (!isThere(journal)) return absent
  if (journal.taken?.includes(id) === true) return { kind: 'drives', draft: draftOf(journal) }
  let received: Received = ignored
  let current: Journal = journal
  for (const one of signals) {
    const next = signal(current, one, nowMs)
    if (next.kind !== 'kept' && next.kind !== 'drives') return next
    received = received.kind === 'drives' ? { ...received, draft: next.draft } : next
    current = next.draft
  }
  return received
}

function compensation(journal: Journal, failure: ErrorNote, nowMs: number): Received {
  const draft = draftOf(journal)
  const isUnder = journal.status === 'compensating' || journal.parked?.from === 'compensating'
  if (isUnder) return journal.status === 'parked' ? retry(journal) : ignored
  beginCompensation(draft, failure, nowMs)
  return { kind: 'drives', draft }
}

/** What waits for its time, waits no longer. */
function retry(journal: Journal | null): Received {
  if (!isThere(journal)) return absent
  if (isEnded(journal.status)) return ignored
  const draft = draftOf(journal)
  resume(draft)
  draft.entries = draft.entries.map((entry) => {
    if (entry.op === 'step' && entry.state === 'retrying') return { ...entry, dueMs: 0 }
    const undo = entry.op === 'step' ? entry.undo : undefined
    return undo?.state === 'retrying' ? { ...(entry as StepEntry), undo: { ...undo, dueMs: 0 } } : entry
  })
  return { kind: 'drives', draft }
}

function skip(journal: Journal | null, id: string, output: Json, nowMs: number): Received {
  if (!isThere(journal)) return absent
  const draft = skipped(journal, id, output, nowMs)
  return draft === undefined ? ignored : { kind: 'drives', draft }
}

function childEnded(journal: Journal | null, input: SagaInput & { readonly kind: 'child' }, nowMs: number): Received {
  const entry = journal?.entries.find((one) => one.id === input.entry)
  // Of an earlier life under the same key, or not of interest any more.
  if (journal === null || journal.id !== input.id || isEnded(journal.status) || entry?.op !== 'child') return ignored
  // What the body was told stays as it was told, what is undone is undone, and what never began does not end.
  const isAwaited = entry.undo === undefined ? entry.order === undefined : entry.undo.state === 'asked'
  if (!isAwaited || entry.outcome?.status === 'refused') return ignored
  const draft = draftOf(journal)
  const { status } = input.outcome
  const isUndone = entry.undo !== undefined && (status === 'compensated' || status === 'refused')
  const next: ChildEntry = isUndone
    ? { ...entry, undo: { state: 'done', attempts: 0, atMs: nowMs } }
    : { ...entry, outcome: input.outcome }
  putEntry(draft, next)
  return { kind: draft.status === 'running' || draft.status === 'compensating' ? 'drives' : 'kept', draft }
}
