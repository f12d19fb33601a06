// Looks at database files after something happened to them, one after the other. Started by audits.ts.

import { existsSync, readFileSync, writeFileSync } from 'node:fs'
import { checkCrashed } from '../src/app/fixtures/crash-check.ts'
import { audit, type Image } from '../src/embedded/fixtures/crash-audit.ts'
import { Journal } from '../src/embedded/fixtures/crash-journal.ts'
import { crashNames } from '../src/embedded/fixtures/crash-load.ts'
import { type EmbeddedEngine, type EmbeddedOptions, embedded } from '../src/embedded/index.ts'
import { InvariantError, MillraceError } from '../src/kernel/index.ts'
import { type Dump, differences, dumpOf } from './flips/content-dump.ts'
import { openInSameThread } from './same-thread.ts'

/** What is asked of a file. */
export type AuditQuestion =
  /** Holds what the load of the embedded engine wrote against its journal. */
  | {
      readonly kind: 'load'
      readonly path: string
      readonly journalPath: string
      /** What stood there at the last audit, if there was one, and must stand there still; it is written anew. */
      readonly imagePath?: string
      /** Whether more is written and the file opened once more. */
      readonly goesOn: boolean
    }
  /** Lets the app of the crash tests do what is left, and counts. */
  | { readonly kind: 'app'; readonly path: string; readonly acknowledged: readonly string[] }
  /** Writes down all that a whole file answers. */
  | { readonly kind: 'dump'; readonly path: string; readonly referencePath: string }
  /** Asks a harmed file the same: it may answer with an error, or as before, but not otherwise. */
  | { readonly kind: 'harmed'; readonly path: string; readonly referencePath: string }
  /** Opens a file whose log was harmed: what stands behind the place is lost, and the rest fits together. */
  | { readonly kind: 'harmed-log'; readonly path: string; readonly journalPath: string }

export interface AuditAnswer {
  readonly problem: string | null
  /** What became of a harmed file. */
  readonly note?: HarmNote
}

/**
 * What became of a harmed file: it could not be opened, or something of it not be read; everything was answered, and verify()
 * notices; or nothing that is asked for was hit.
 */
type HarmNote = 'refused' | 'foundByVerify' | 'harmless'

type Question<K extends AuditQuestion['kind']> = Extract<AuditQuestion, { readonly kind: K }>

/** One file in so many is opened as programs do, with a thread that writes. */
const inThreadEvery = 16
let openCount = 0

function openToLook(options: EmbeddedOptions): Promise<EmbeddedEngine> {
  const given = { ...options, maintenanceIntervalMs: 0 }
  return openCount++ % inThreadEvery === 0 ? embedded(given).open() : openInSameThread(given)
}

/** After the audit the file must take more, from where it stands, and keep it. */
const after = { topic: 'after', owner: 'after' } as const

async function lookAtApp({ path, acknowledged }: Question<'app'>): Promise<void> {
  await using engine = await embedded({ path, maintenanceIntervalMs: 0 }).open()
  await checkCrashed(engine, acknowledged)
  const { damages } = await engine.verify()
  if (damages.length > 0) throw new InvariantError(`a file is in order after kills (${JSON.stringify(damages[0])})`)
}

function readImage(imagePath: string | undefined): Image {
  if (imagePath === undefined || !existsSync(imagePath)) return new Map()
  return new Map(JSON.parse(readFileSync(imagePath, 'utf8')) as [string, { offset: number; id: string }[]][])
}

async function lookAtLoad({ path, journalPath, imagePath, goesOn }: Question<'load'>): Promise<void> {
  const journal = Journal.read(journalPath)
  let image: Image
  {
    await using engine = await (goesOn ? embedded({ path, maintenanceIntervalMs: 0 }).open() : openToLook({ path }))
    // A program that starts makes what is not there yet.
    for (const [topic, partitions] of crashNames.topics) {
      await engine.topics.ensure(topic, { partitions, cleanup: topic === crashNames.latest ? 'compact' : 'delete' })
    }
    image = await audit(engine, journal, readImage(imagePath))
    if (imagePath !== undefined) writeFileSync(imagePath, JSON.stringify([...image]))
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
  await audit(again, journal, image)
}

function problemOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error)
  const { code } = error as { readonly code?: unknown }
  return `${typeof code === 'string' ? `${code}: ` : ''}${error.message}`.slice(0, 2000)
}

async function dump({ path, referencePath }: Question<'dump'>): Promise<void> {
  await using engine = await embedded({ path, maintenanceIntervalMs: 0, recentBytesMax: 0 }).open()
  writeFileSync(referencePath, JSON.stringify(await dumpOf(engine)))
}

async function lookAtHarmed({ path, referencePath }: Question<'harmed'>): Promise<AuditAnswer> {
  const reference = JSON.parse(readFileSync(referencePath, 'utf8')) as Dump
  return detecting(async () => {
    await using engine = await openToLook({ path, recentBytesMax: 0 })
    const found = await dumpOf(engine)
    const { altered, incomplete } = differences(found, reference)
    const isDetected = (await engine.verify()).damages.length > 0
    const isRefused = Object.values(found).some((piece) => 'code' in piece)
    if (altered.length > 0) return { problem: `${altered.join(', ')} hold what was never written` }
    if (incomplete.length > 0 && !isDetected) {
      return { problem: `${incomplete.join(', ')} are not whole, and neither reading nor verify() notices` }
    }
    if (isRefused && !isDetected) return { problem: 'a read is refused, and verify() finds nothing' }
    if (isRefused) return { problem: null, note: 'refused' }
    if (isDetected) return { problem: null, note: 'foundByVerify' }
    return { problem: null, note: 'harmless' }
  })
}

function lookAtHarmedLog({ path, journalPath }: Question<'harmed-log'>): Promise<AuditAnswer> {
  const journal = Journal.read(journalPath)
  // A log that ends early and one that was harmed look the same to SQLite.
  journal.acknowledged.clear()
  return detecting(async () => {
    await using engine = await openToLook({ path })
    await audit(engine, journal, new Map())
    return { problem: null, note: 'harmless' }
  })
}

/** An error that Millrace has a name for is an answer that a harmed file may give. */
async function detecting(work: () => Promise<AuditAnswer>): Promise<AuditAnswer> {
  try {
    return await work()
  } catch (error) {
    if (error instanceof MillraceError) return { problem: null, note: 'refused' }
    throw error
  }
}

async function answerTo(question: AuditQuestion): Promise<AuditAnswer> {
  switch (question.kind) {
    case 'harmed':
      return lookAtHarmed(question)
    case 'harmed-log':
      return lookAtHarmedLog(question)
    case 'app':
      await lookAtApp(question)
      return { problem: null }
    case 'load':
      await lookAtLoad(question)
      return { problem: null }
    case 'dump':
      await dump(question)
      return { problem: null }
  }
}

process.on('message', (question: AuditQuestion) => {
  const answer = (given: AuditAnswer): void => void process.send?.(given)
  answerTo(question).then(answer, (error: unknown) => answer({ problem: problemOf(error) }))
})
process.on('disconnect', () => process.exit())
