import { closeSync, fdatasyncSync, openSync, unlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'

/** The least that durable writing takes: `write` and `fdatasync`, one after the other, on a file of its own. */
export class SyncLoop implements Disposable {
  readonly #path: string
  readonly #descriptor: number

  constructor(folder: string) {
    this.#path = join(folder, 'sync-loop')
    this.#descriptor = openSync(this.#path, 'w')
  }

  /** Writes one group behind what stands there and syncs it. */
  write(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; ) at += writeSync(this.#descriptor, bytes, at)
    fdatasyncSync(this.#descriptor)
  }

  /** How long one write and sync takes, in milliseconds. */
  timedMs(bytes: Uint8Array): number {
    const startMs = performance.now()
    this.write(bytes)
    return performance.now() - startMs
  }

  [Symbol.dispose](): void {
    closeSync(this.#descriptor)
    unlinkSync(this.#path)
  }
}
