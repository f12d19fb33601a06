import { cpSync, existsSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { atExit } from './at-exit.ts'

const memoryDisk = '/dev/shm'
const evidenceFolder = join(import.meta.dirname, '..', '.cache', 'torture')
/** Each failure may leave tens of megabytes; after so many the next ones teach nothing new. */
const evidenceMax = 10

/**
 * Where the files of one run lie: in memory where the machine has a disk of memory, because what is tortured is what is in
 * the files, not the disk under them; or in a folder that is asked for. It is removed when the run is done, and what failed is kept elsewhere.
 */
export class Scratch implements Disposable {
  readonly root: string
  #folderCount = 0
  #evidenceCount = 0
  readonly #forget: () => void

  constructor(within: string = existsSync(memoryDisk) ? memoryDisk : tmpdir()) {
    this.root = mkdtempSync(join(resolve(within), 'millrace-torture-'))
    this.#forget = atExit(() => this.#remove())
  }

  /** A new, empty folder. */
  folder(name: string): string {
    const path = join(this.root, `${name}-${this.#folderCount++}`)
    mkdirSync(path)
    return path
  }

  /** Copies what failed to a place that stays; answers the place, or null when enough is kept already. */
  keep(folder: string, name: string): string | null {
    if (this.#evidenceCount >= evidenceMax || !existsSync(folder)) return null
    this.#evidenceCount++
    const kept = `${name.replaceAll(/[^\w.-]+/g, '-')}-${process.pid}`
    cpSync(folder, join(evidenceFolder, kept), { recursive: true })
    return kept
  }

  [Symbol.dispose](): void {
    this.#forget()
    this.#remove()
  }

  #remove(): void {
    rmSync(this.root, { recursive: true, force: true })
  }
}
