import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import type { AuditAnswer, AuditQuestion } from './audit-process.ts'

const program = join(import.meta.dirname, 'audit-process.ts')
/** An engine that cannot be opened must say so, not hang. */
const answerMsMax = 60_000
/** Then a process is replaced by a new one, so that none grows with the number of files it has seen. */
const questionsMax = 400

interface Auditor {
  readonly process: ChildProcess
  questionCount: number
}

/** Processes that look at database files after something happened to them, a few at a time. */
export class Audits implements AsyncDisposable {
  readonly #all = new Set<ChildProcess>()
  readonly #idle: Auditor[] = []
  readonly #waiting: ((auditor: Auditor) => void)[] = []
  #count = 0
  #isDisposed = false
  readonly #countMax: number

  constructor(countMax = 2) {
    this.#countMax = countMax
  }

  /** What is wrong with a file; null: nothing is. */
  async ask(question: AuditQuestion): Promise<string | null> {
    return (await this.answer(question)).problem
  }

  /** The same, with what else was noticed. */
  async answer(question: AuditQuestion): Promise<AuditAnswer> {
    const auditor = await this.#take()
    const answer = await this.#ask(auditor, question)
    if (answer === undefined || auditor.questionCount >= questionsMax) this.#replace(auditor)
    else this.#give(auditor)
    return answer ?? { problem: 'whoever opened it died, or gave no answer in time' }
  }

  /** Ends them all, those at work too, so that none keeps the program that asked it. */
  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true
    const exits = [...this.#all].map((auditor) => once(auditor, 'exit'))
    for (const auditor of this.#all) auditor.kill('SIGKILL')
    await Promise.all(exits)
  }

  #take(): Promise<Auditor> | Auditor {
    if (this.#isDisposed) throw new Error('The auditors were sent away already')
    const idle = this.#idle.pop()
    if (idle !== undefined) return idle
    if (this.#count >= this.#countMax) return new Promise((resolve) => this.#waiting.push(resolve))
    this.#count++
    return this.#start()
  }

  #give(auditor: Auditor): void {
    const next = this.#waiting.shift()
    if (next === undefined) this.#idle.push(auditor)
    else next(auditor)
  }

  #replace({ process }: Auditor): void {
    process.kill('SIGKILL')
    if (!this.#isDisposed) this.#give(this.#start())
  }

  #start(): Auditor {
    const process = fork(program, { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
    this.#all.add(process)
    process.once('exit', () => this.#all.delete(process))
    return { process, questionCount: 0 }
  }

  async #ask(auditor: Auditor, question: AuditQuestion): Promise<AuditAnswer | undefined> {
    auditor.questionCount++
    const { process } = auditor
    const { promise, resolve } = Promise.withResolvers<AuditAnswer | undefined>()
    const answered = (answer: AuditAnswer): void => resolve(answer)
    const ended = (): void => resolve(undefined)
    const timer = setTimeout(ended, answerMsMax)
    process.once('message', answered).once('exit', ended)
    process.send(question)
    const answer = await promise
    clearTimeout(timer)
    process.off('message', answered).off('exit', ended)
    return answer
  }
}
