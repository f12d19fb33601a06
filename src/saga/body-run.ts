import type { Json } from '../kernel/index.ts'
import type { Effect } from '../runtime/index.ts'
import { AskedPromise } from './asked-promise.ts'
import {
  type ErrorNote,
  errorNote,
  type InboxItem,
  type JournalDraft,
  type JournalEntry,
  nextDueMs,
  type ParkReport,
  type SignalEntry,
  type StepEntry,
  takesTime,
} from './journal.ts'
import { JournalBook, type Question, shownJson, type Trouble } from './journal-book.ts'
import { currentData } from './kept-data.ts'
import { type Ask, tellOutcome } from './outcome.ts'
import { RunningSteps } from './running-steps.ts'
import type { SagaHost } from './saga-host.ts'
import { WakeUp } from './wake-up.ts'

/** How a run of a body ended. */
export type BodyEnd =
  /** It waits: for a time, a signal, a child. */
  | { readonly kind: 'waits' }
  /** It is not told any more what comes of what it asked for: somebody wants the instance compensated. */
  | { readonly kind: 'called-off' }
  | { readonly kind: 'returned'; readonly value: unknown }
  | { readonly kind: 'threw'; readonly failure: ErrorNote }
  | { readonly kind: 'parked'; readonly report: ParkReport }

/**
 * Runs the body of an instance over its journal: tells it again, in the same order, what it was told before, then goes on
 * from there until it ends or waits for something that takes time.
 *
 * The body is told one outcome at a time, and the next only when it has come to rest. So the order in which two parallel
 * steps finished once is their order for ever.
 */
export class BodyRun {
  readonly book: JournalBook
  /** Time of the last outcome that the body was told. */
  nowMs: number
  readonly #host: SagaHost
  readonly #body: () => Promise<unknown>
  readonly #asked = new Map<string, Ask>()
  /** Steps, and whether the body awaits them. */
  readonly #steps = new Map<string, AskedPromise>()
  #toldCount = 0
  /** Outcomes that the body is to be told, in their order. */
  readonly #outcomes: string[] = []
  readonly #running: RunningSteps
  readonly #wakeUp: WakeUp
  #effects: Effect[] = []
  #isOver = false
  #isCalledOff = false
  #end: BodyEnd | undefined
  #trouble: Trouble | undefined

  constructor(host: SagaHost, draft: JournalDraft, body: (run: BodyRun) => Promise<unknown>) {
    this.#host = host
    this.book = new JournalBook(draft)
    this.#wakeUp = new WakeUp(host)
    this.#running = new RunningSteps(host, this.book, () => this.#wakeUp.ring())
    this.nowMs = draft.startedMs
    this.#body = () => body(this)
  }

  /** Effects that wait for the next commit of the journal. */
  takeEffects(): readonly Effect[] {
    const effects = this.#effects
    this.#effects = []
    return effects
  }

  /** Runs it. Rejects only when nobody waits any more, or the journal cannot be written. */
  async run(): Promise<BodyEnd> {
    try {
      await this.#replay()
      if (this.#trouble === undefined) return await this.#goOn()
      // What a body asked for that went astray is not to be kept.
      this.book.takeBack()
      this.#effects = []
      return this.#parked(this.#trouble)
    } finally {
      this.#over()
    }
  }

  /** Only tells it what the journal knows: how it would end, and what is wrong. Nothing happens outside. */
  async check(): Promise<BodyEnd> {
    try {
      await this.#replay()
      return this.#trouble === undefined ? (this.#end ?? { kind: 'waits' }) : this.#parked(this.#trouble)
    } finally {
      this.#over()
    }
  }

  /** Nobody listens to the body any more. */
  #over(): void {
    this.#isOver = true
    this.#wakeUp.end()
  }

  /** Something that is done at once: answers whether it is the first time. */
  note(question: Question): boolean {
    if (this.#isDeaf(question)) return false
    return this.book.meet(question, this.#moment, () => true)
  }

  /** What the body says besides what the journal holds: the same each time, for who looks after that. */
  say(id: string, said: unknown): void {
    if (!this.#isOver && this.#trouble === undefined) this.#host.witness?.(this.book.draft.id, id, said)
  }

  /** Is seen from the next commit on. */
  show(value: Json): void {
    if (!this.#isOver && this.#trouble === undefined) this.book.show(this.#toldCount, value)
  }

  /** Leaves with the next commit. */
  addEffect(effect: Effect): void {
    this.#effects.push(effect)
    this.book.isDirty = true
  }

  /** Something that takes time: its outcome is told when its turn comes. */
  ask(question: Question): Promise<unknown> {
    const { id } = question
    if (this.#asked.has(id)) {
      const problem = `The body asked for ${id} twice.`
      this.park({ reason: 'not-deterministic', problem, remedy: 'Give each use an id or a name of its own.' })
    }
    if (this.#isDeaf(question)) return never()
    const promise = new AskedPromise((resolve, reject) => this.#asked.set(id, { resolve, reject })).quieten()
    if (question.same['op'] === 'step') this.#steps.set(id, promise)
    // A step that has nothing to undo need not be known before it is done; all else has to be there.
    const mustBeKept = (entry: JournalEntry): boolean =>
      entry.op !== 'step' || this.#running.stepOf(entry)?.undo !== undefined
    this.book.meet(question, this.#moment, mustBeKept)
    this.#wakeUp.ring()
    return promise
  }

  /** The instance cannot go on: the first reason counts. */
  park(trouble: Trouble): void {
    this.#trouble ??= trouble
    this.#wakeUp.ring()
  }

  /** Nobody listens to the body any more, or it does not ask for what it asked for before. */
  #isDeaf(question: Question): boolean {
    if (this.#isOver || this.#trouble !== undefined) return true
    const problem = this.book.problemOf(question)
    if (problem !== undefined) this.park(problem)
    return problem !== undefined
  }

  get #moment(): { readonly nowMs: number; readonly toldCount: number } {
    return { nowMs: this.#host.clock.nowMs(), toldCount: this.#toldCount }
  }

  #parked(trouble: Trouble): BodyEnd {
    return { kind: 'parked', report: { ...trouble, from: 'running' } }
  }

  #start(): void {
    const ended = (end: BodyEnd): void => {
      this.#end = end
      this.#wakeUp.ring()
    }
    this.#body().then(
      (value) => {
        this.#checkAwaited()
        ended({ kind: 'returned', value })
      },
      (error: unknown) => ended({ kind: 'threw', failure: errorNote(error) }),
    )
  }

  /** A step that nobody awaits is a mistake: it would not be run, or its failure would be heard by nobody. */
  #checkAwaited(): void {
    const lost = [...this.#steps].filter(([, promise]) => !promise.isAwaited).map(([id]) => id)
    if (lost.length === 0) return
    this.park({
      reason: 'not-awaited',
      problem: `The body has ended, but it has not awaited ${lost.join(', ')}.`,
      remedy: 'Await each step, or hand it to Promise.all or Promise.race. Then retry.',
    })
  }

  /** Tells the body all outcomes that the journal knows, in their order. */
  async #replay(): Promise<void> {
    this.#start()
    await turn()
    const known = this.book.draft.entries.filter(({ order }) => order !== undefined)
    known.sort((a, b) => (a.order as number) - (b.order as number))
    for (const { id } of known) {
      while (!this.#asked.has(id) && this.#isSlow) await this.#stall()
      if (this.#trouble !== undefined) return
      if (!this.#asked.has(id)) {
        this.#astray(id)
        return
      }
      this.#tell(id)
      await turn()
    }
    while (this.book.unmet !== undefined && this.#isSlow) await this.#stall()
    const { unmet } = this.book
    if (this.#trouble === undefined && unmet !== undefined) this.#astray(unmet.id)
  }

  /** Whether the body has neither ended nor asked for anything: it may wait for something that takes a little longer. */
  get #isSlow(): boolean {
    const isGoingOn = this.#trouble === undefined && this.#end === undefined
    return isGoingOn && this.#toldCount === this.#asked.size
  }

  #astray(id: string): void {
    this.park({
      reason: 'not-deterministic',
      problem: `The journal has ${id} next, but the body did not ask for it: ${this.#instead()}.`,
      remedy: this.#wayBack(id),
    })
  }

  /** What helps against something that the body does not ask for any more. */
  #wayBack(id: string): string {
    const entry = this.book.entry(id)
    if (entry?.op !== 'patch') {
      return 'Bring the old way back for instances that took it: saga.patched() tells them from new ones. Then retry.'
    }
    const name = id.slice('patch:'.length)
    return `Bring patched(${JSON.stringify(name)}) back: it may go when no instance has ${id} in its journal any more. Then retry.`
  }

  #instead(): string {
    if (this.#end?.kind === 'returned') return 'it ended'
    if (this.#end?.kind === 'threw') return `it threw ${shownJson(this.#end.failure.message)}`
    const asked = [...this.#asked.keys()].filter((one) => this.book.entry(one)?.order === undefined)
    return asked.length > 0 ? `it asked for ${asked.join(', ')}` : 'it waits for something else'
  }

  /** From here on things happen for the first time. */
  async #goOn(): Promise<BodyEnd> {
    for (;;) {
      this.#host.signal.throwIfAborted()
      this.#settle()
      const { overflow } = this.book
      if (overflow !== undefined) this.park(overflow)
      this.#isCalledOff ||= this.#host.isCalledOff()
      const isOver = this.#trouble !== undefined || this.#end !== undefined || this.#isCalledOff
      if (!isOver && (await this.#advance())) continue
      if (this.#running.size === 0) {
        // A better program may await what was not begun, or leave it out.
        if (this.#trouble?.reason === 'not-awaited') this.book.leaveOut()
        if (this.#trouble !== undefined) return this.#parked(this.#trouble)
        if (this.#end !== undefined) return this.#end
        if (!this.#isCalledOff) return { kind: 'waits' }
        this.book.leaveOut()
        return { kind: 'called-off' }
      }
      if (this.book.isDirty) await this.#checkpoint()
      // What falls due changes nothing once it is over: only the steps that still run do.
      else await this.#wakeUp.rest(isOver ? undefined : this.#nextDueMs)
    }
  }

  /** Does what can be done now; `false`: there is nothing to do but to wait. */
  async #advance(): Promise<boolean> {
    const due = this.#collect()
    const next = this.#outcomes.shift()
    if (next !== undefined) {
      this.#tell(next)
      await turn()
      return true
    }
    if (due.length > 0) {
      // What the steps do outside relies on all that was told to the body before.
      if (this.book.isDirty) await this.#checkpoint()
      else for (const entry of due) this.#running.begin(entry)
      return true
    }
    if (this.#trouble !== undefined) return true
    if (this.book.draft.entries.some((entry) => entry.order === undefined && takesTime(entry))) return false
    await this.#stall()
    return true
  }

  /** Takes in what has finished meanwhile. */
  #settle(): void {
    const { completed, retrying } = this.#running.settle()
    for (const entry of retrying) this.book.replace(entry)
    for (const entry of completed) this.#complete(entry)
  }

  /** Completes what is due or has come, and answers the steps that are to be run now. */
  #collect(): readonly StepEntry[] {
    const { draft } = this.book
    const nowMs = this.#host.clock.nowMs()
    const steps: StepEntry[] = []
    for (const entry of draft.entries) {
      if (entry.order !== undefined || this.#running.has(entry.id)) continue
      if (entry.op === 'step') {
        if (entry.state === 'begun' || (entry.dueMs ?? 0) <= nowMs) steps.push(entry)
      } else if (entry.op === 'sleep') {
        if (entry.dueMs <= nowMs) this.#complete(entry)
      } else if (entry.op === 'child') {
        if (entry.outcome !== undefined) this.#complete(entry)
      } else if (entry.op === 'signal') {
        const index = draft.inbox.findIndex(({ name }) => name === entry.name)
        const [item] = index < 0 ? [] : draft.inbox.splice(index, 1)
        if (item !== undefined) this.#complete({ ...entry, ...keptIn(item) })
        else if (entry.dueMs !== undefined && entry.dueMs <= nowMs) this.#complete(entry)
      }
    }
    const unknown = steps.find((entry) => this.#running.stepOf(entry) === undefined)
    if (unknown === undefined) return steps
    const problem = `Step ${unknown.name} is not declared.`
    this.park({ reason: 'step-unknown', problem, remedy: 'Declare it again, or correct the name. Then retry.' })
    return []
  }

  #complete(entry: JournalEntry): void {
    this.book.complete(entry, this.#host.clock.nowMs())
    this.#outcomes.push(entry.id)
  }

  async #checkpoint(): Promise<void> {
    const { draft } = this.book
    this.book.isDirty = false
    draft.changedMs = this.#host.clock.nowMs()
    await this.#host.checkpoint({ ...draft, entries: [...draft.entries], inbox: [...draft.inbox] }, this.takeEffects())
  }

  /** When the next thing is due that the body waits for. */
  get #nextDueMs(): number | undefined {
    const { status, entries } = this.book.draft
    return nextDueMs({ status, entries: entries.filter(({ id }) => !this.#running.has(id)) })
  }

  /** The body waits for something that the journal knows nothing of: it has some time for that. */
  async #stall(): Promise<void> {
    const { stallTimeoutMs } = this.#host.definition
    if (await this.#wakeUp.rest(this.#host.clock.nowMs() + stallTimeoutMs)) return
    const problem = `The body waited ${stallTimeoutMs} ms for what is no step, sleep, signal or child.`
    const remedy = 'Let steps touch the outside world, and await all that the body starts. Then retry.'
    this.park({ reason: 'stalled', problem, remedy })
  }

  /** A signal may have been kept by an older program. */
  #asOfNow(entry: JournalEntry): JournalEntry {
    if (entry.op !== 'signal' || entry.data?.version === undefined) return entry
    const { value, version } = entry.data
    return { ...entry, data: { value: currentData(this.#host.definition.signals[entry.name], value, version) } }
  }

  #tell(id: string): void {
    const entry = this.book.entry(id) as JournalEntry
    const ask = this.#asked.get(id)
    this.nowMs = entry.atMs ?? this.nowMs
    if (ask === undefined) return
    this.#toldCount++
    tellOutcome(this.#asOfNow(entry), ask)
  }
}

function keptIn({ data, version, message }: InboxItem): Pick<SignalEntry, 'data' | 'message'> {
  return {
    data: { value: data, ...(version !== undefined && { version }) },
    ...(message !== undefined && { message }),
  }
}

function never(): Promise<never> {
  return new Promise(() => undefined)
}

/** The turn after this one: by then the body has come to rest, if it only waits for what it asked for. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve)
  })
}
