import { rmSync } from 'node:fs'
import { join } from 'node:path'
import { acknowledgedIn } from '../../src/app/fixtures/crash-check.ts'
import { SeededRandom } from '../../src/kernel/index.ts'
import { Audits } from '../audits.ts'
import { type Bench, type Failure, goesOn, type Kind, type KindResult } from '../kind.ts'
import { runAndKill } from './killed-process.ts'

const source = join(import.meta.dirname, '..', '..', 'src')
const engineLoad = join(source, 'embedded', 'fixtures', 'crash-worker.ts')
const appLoad = join(source, 'app', 'fixtures', 'crash-app.ts')

/** Then a new file: each audit reads all of it. */
const killsPerEngineFile = 25
/** The app is let to its end after so many, which shows what any of them did. */
const killsPerAppFile = 5

/** SIGKILL under load: check, restart, go on. */
export const kills: Kind = {
  name: 'kills',
  title: 'processes killed under load and started again',
  casesQuick: 25,
  casesFull: 1_000,
  run: (bench) => new Kills(bench).run(),
}

class Kills {
  readonly #bench: Bench
  readonly #failures: Failure[] = []
  readonly #facts = { ready: 0, engines: 0, apps: 0 }
  #caseCount = 0

  constructor(bench: Bench) {
    this.#bench = bench
  }

  async run(): Promise<KindResult> {
    await using audits = new Audits()
    const { random } = this.#bench
    // Beside each other, each with chance of its own, so that the one does not hang on how fast the other is.
    const [first, second] = [new SeededRandom(random.nextUint32()), new SeededRandom(random.nextUint32())]
    await Promise.all([this.#killEngines(audits, first), this.#killApps(audits, second)])
    return { caseCount: this.#caseCount, failures: this.#failures, facts: this.#facts }
  }

  /** Takes the next case; false: there are enough. */
  #takes(): boolean {
    if (!goesOn(this.#bench.budget, this.#caseCount, this.#failures.length)) return false
    this.#caseCount++
    return true
  }

  async #killEngines(audits: Audits, random: SeededRandom): Promise<void> {
    let folder = this.#bench.scratch.folder('engine')
    for (let run = 0; this.#takes(); run++) {
      if (run > 0 && run % killsPerEngineFile === 0) {
        rmSync(folder, { recursive: true })
        folder = this.#bench.scratch.folder('engine')
      }
      const path = join(folder, 'killed.db')
      const journalPath = join(folder, 'journal.jsonl')
      const imagePath = join(folder, 'image.json')
      this.#facts.engines++
      await this.#kill(`engine, kill ${run}`, folder, async () => {
        const { wasReady } = await runAndKill(engineLoad, [path, journalPath, String(run)], random)
        if (wasReady) this.#facts.ready++
        return audits.ask({ kind: 'load', path, journalPath, imagePath, goesOn: false })
      })
    }
  }

  async #killApps(audits: Audits, random: SeededRandom): Promise<void> {
    for (let file = 0; ; file++) {
      const folder = this.#bench.scratch.folder('app')
      const path = join(folder, 'killed.db')
      const acknowledged: string[] = []
      let run = 0
      while (run < killsPerAppFile && this.#takes()) {
        run++
        this.#facts.apps++
        await this.#kill(`app ${file}, kill ${run}`, folder, async () => {
          const { wasReady, output } = await runAndKill(appLoad, [path, String(run), 'one engine'], random)
          if (wasReady) this.#facts.ready++
          acknowledged.push(...acknowledgedIn(output))
          return null
        })
      }
      if (run === 0) return
      await this.#kill(`app ${file}`, folder, () => audits.ask({ kind: 'app', path, acknowledged }))
      rmSync(folder, { recursive: true })
    }
  }

  async #kill(name: string, folder: string, work: () => Promise<string | null>): Promise<void> {
    const problem = await work().catch((error: unknown) => (error as Error).message)
    if (problem === null) return
    this.#failures.push({ name, problem, evidence: this.#bench.scratch.keep(folder, name) })
  }
}
