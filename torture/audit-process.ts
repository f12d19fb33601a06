// Looks at database files after something happened to them, one after the other. Started by audits.ts.

import { checkCrashed } from '../src/app/fixtures/crash-check.ts'
import { audit } from '../src/embedded/fixtures/crash-audit.ts'
import { Journal } from '../src/embedded/fixtures/crash-journal.ts'
import { crashNames } from '../src/embedded/fixtures/crash-load.ts'
import { embedded } from '../src/embedded/index.ts'
import { InvariantError } from '../src/kernel/index.ts'

/** What is asked of a file. */
export type AuditQuestion =
  /** Holds what the load of the embedded engine wrote against its journal. */
  | {
      readonly kind: 'load'
      readonly path: string
      readonly journalPath: string
      /** Whether more is written and the file opened once more. */
      readonly goesOn: boolean
    }
  /** Lets the app of the crash tests do what is left, and counts. */
  | { readonly kind: 'app'; readonly path: string; readonly acknowledged: number }

export interface AuditAnswer {
  readonly problem: string | null
}

/** After the audit the file must take more, from where it stands, and keep it. */
const after = { topic: 'after', owner: 'after' } as const

async function lookAtApp({ path, acknowledged }: Extract<AuditQuestion, { kind: 'app' }>): Promise<void> {
  await using engine = await embedded({ path, maintenanceIntervalMs: 0 }).open()
  await checkCrashed(engine, acknowledged)
  const { damages } = await engine.verify()
  if (damages.length > 0) throw new InvariantError(`a file is in order after kills (${JSON.stringify(damages[0])})`)
}

async function lookAtLoad({ path, journalPath, goesOn }: Extract<AuditQuestion, { kind: 'load' }>): Promise<void> {
  const journal = Journal.read(journalPath)
  {
    await using engine = await embedded({ path, maintenanceIntervalMs: 0 }).open()
    // A program that starts makes what is not there yet.
    for (const [topic, partitions] of crashNames.topics) {
      await engine.topics.ensure(topic, { partitions, cleanup: topic === crashNames.latest ? 'compact' : 'delete' })
    }
    await audit(engine, journal, new Map())
    if (!goesOn) return
    await engine.topics.create(after.topic)
    const outcome = await engine.commit({
      publish: [{ topic: after.topic, partition: 0, records: [{ key: null, value: 'after' }] }],
      timers: [{ kind: 'schedule', owner: after.owner, id: 'after', dueMs: 0, payload: null }],
    })
    if (!outcome.ok) throw new InvariantError('a file that was audited takes more')
  }
  await using again = await embedded({ path, maintenanceIntervalMs: 0 }).open()
  const { records } = await again.topics.read({ topic: after.topic, partition: 0, offset: 0 })
  const timers = await again.timers.list({ owner: after.owner })
  if (records.length !== 1 || timers.length !== 1) throw new InvariantError('what was written after the audit is there')
  await again.topics.delete(after.topic)
  await audit(again, journal, new Map())
}

function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as { readonly code?: unknown }
  return `${typeof code === 'string' ? `${code}: ` : ''}${error.message}`.slice(0, 2000)
}

process.on('message', (question: AuditQuestion) => {
  const answer = (problem: string | null): void => void process.send?.({ problem } satisfies AuditAnswer)
  const looked = question.kind === 'app' ? lookAtApp(question) : lookAtLoad(question)
  looked.then(
    () => answer(null),
    (error: unknown) => answer(problemOf(error)),
  )
})
process.on('disconnect', () => process.exit())
