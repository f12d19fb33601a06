import { isDeepStrictEqual } from 'node:util'
import { frozenJson, isPassing, type Json } from '../kernel/index.ts'
import { CheckpointRefusedError, type Effect } from '../runtime/index.ts'
import { type BodyEnd, BodyRun } from './body-run.ts'
import { runBody } from './body-scope.ts'
import { compensate } from './compensation.ts'
import { inputEffect } from './inputs.ts'
import { outcomeOf } from './instance.ts'
import { draftOf, type ErrorNote, errorNote, isEnded, type Journal, type JournalDraft, park } from './journal.ts'
import { shownJson } from './journal-book.ts'
import { checkKept } from './kept-data.ts'
import type { SagaHost } from './saga-host.ts'

/** A journal and what is to become real with it. */
export interface Driven {
  readonly journal: Journal
  readonly effects: readonly Effect[]
  /** It has left off for what waits behind, and has to be woken up whatever comes of that. */
  readonly isCalledOff: boolean
}

/**
 * Brings an instance as far as it comes now: until it ends, waits, or is parked.
 *
 * @throws the reason of the host's signal, once it has aborted
 */
export async function drive(host: SagaHost, journal: Journal): Promise<Driven> {
  let durable = journal
  const keeping: SagaHost = {
    ...host,
    checkpoint: async (next, effects) => {
      await host.checkpoint(next, effects)
      durable = next
    },
  }
  try {
    const driven = await work(keeping, draftOf(journal))
    if (!host.isAgain) return driven
    // Written here, so that it is known here if it cannot be.
    await keeping.checkpoint(driven.journal, driven.effects)
    return { ...driven, effects: [] }
  } catch (error) {
    host.signal.throwIfAborted()
    // Somebody else has changed it, or it cannot be written now: what is true is read again, and the message is handled anew.
    if (error instanceof CheckpointRefusedError || isPassing(error)) throw error
    // What cannot be stored is lost; what happened outside is not known, and stands in the journal as begun.
    const draft = draftOf(durable)
    park(draft, {
      reason: 'not-stored',
      problem: `Its journal could not be written: ${errorNote(error).message}`,
      remedy: 'Keep inputs, outputs and messages small, or correct what they are made of. Then retry.',
      from: draft.status === 'compensating' ? 'compensating' : 'running',
    })
    return { journal: draft, effects: [], isCalledOff: false }
  }
}

async function work(host: SagaHost, draft: JournalDraft): Promise<Driven> {
  const effects: Effect[] = []
  const isCalledOff = draft.status === 'running' && (await runOn(host, draft, effects)) === 'called-off'
  if (draft.status === 'compensating') await compensate(host, draft, effects)
  draft.changedMs = host.clock.nowMs()
  if (isEnded(draft.status)) {
    draft.endedMs ??= draft.changedMs
    const outcome = outcomeOf(draft)
    if (draft.parent !== undefined && outcome !== undefined && outcome.status !== 'parked') {
      const { saga, key, entry, id } = draft.parent
      effects.push(inputEffect(host.app, saga, key, { kind: 'child', entry, id, outcome }))
    }
  }
  return { journal: draft, effects, isCalledOff }
}

async function runOn(host: SagaHost, draft: JournalDraft, effects: Effect[]): Promise<BodyEnd['kind']> {
  const { version, name } = host.definition
  if (draft.version > version) {
    park(draft, {
      reason: 'version-unknown',
      problem: `It started under version ${draft.version} of saga ${name}, this program has version ${version}.`,
      remedy: 'Run it with the newer program, or raise the version. Then retry.',
      from: 'running',
    })
    return 'parked'
  }
  try {
    checkKept(host.definition, draft)
  } catch (error) {
    park(draft, {
      reason: 'data-unreadable',
      problem: `What it was told under another version of an event cannot be read: ${errorNote(error).message}`,
      remedy: 'Run it with the newer program, or give the event an upcast. Then retry.',
      from: 'running',
    })
    return 'parked'
  }
  const run = new BodyRun(host, draft, (self) => runBody(host, self))
  const end = await run.run()
  effects.push(...run.takeEffects())
  switch (end.kind) {
    case 'waits':
    case 'called-off':
      break
    case 'parked':
      park(draft, end.report)
      break
    case 'threw':
      beginCompensation(draft, end.failure, host.clock.nowMs())
      break
    case 'returned':
      try {
        draft.result = frozenJson((end.value ?? null) as Json, 'the result')
        draft.status = 'completed'
      } catch (error) {
        const problem = errorNote(error).message
        park(draft, { reason: 'not-json', problem, remedy: 'Return what JSON can carry. Then retry.', from: 'running' })
      }
  }
  return end.kind
}

/**
 * Runs the body once more over a journal, without letting anything happen: what is wrong with it, if it does not ask for
 * what it asked for before, or ends another way.
 */
export async function replayProblem(host: SagaHost, journal: Journal): Promise<string | undefined> {
  if (journal.status !== 'running' && journal.status !== 'completed') return undefined
  const run = new BodyRun(host, draftOf(journal), (self) => runBody(host, self))
  const end = await run.check()
  if (end.kind === 'parked') return end.report.problem
  if (journal.status === 'running') return undefined
  if (end.kind !== 'returned') return 'The body had ended, now it goes on.'
  const result = frozenJson((end.value ?? null) as Json, 'the result')
  if (isDeepStrictEqual(result, journal.result)) return undefined
  return `The result was ${shownJson(journal.result)}, now it is ${shownJson(result)}.`
}

/** From here on what was done is undone. */
export function beginCompensation(draft: JournalDraft, failure: ErrorNote, nowMs: number): void {
  if (draft.status === 'completed' && draft.endedMs !== undefined) draft.completedMs = draft.endedMs
  draft.status = 'compensating'
  draft.failure = failure
  draft.failedMs = nowMs
  delete draft.parked
  delete draft.result
  delete draft.endedMs
}
