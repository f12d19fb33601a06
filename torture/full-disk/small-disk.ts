import { spawnSync } from 'node:child_process'
import { cpSync, existsSync, mkdirSync, readdirSync, rmSync, statfsSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { InvariantError } from '../../src/kernel/index.ts'

const diskSize = '16m'

/** A small disk of its own, with the file in the folder `data`. */
export class SmallDisk {
  readonly root: string
  readonly path: string

  constructor(root: string) {
    this.root = root
    this.path = join(root, 'data', 'full.db')
  }

  /** Whether it is there now. */
  mount(): boolean {
    const args = ['-t', 'tmpfs', '-o', `size=${diskSize}`, 'tmpfs', this.root]
    return spawnSync('mount', args, { stdio: 'ignore' }).status === 0
  }

  unmount(): void {
    spawnSync('umount', [this.root])
  }

  /** Begins with what stands in a folder, or with nothing. */
  fill(from: string | undefined): void {
    for (const name of readdirSync(this.root)) rmSync(join(this.root, name), { recursive: true })
    if (from === undefined) mkdirSync(join(this.root, 'data'))
    else cpSync(from, join(this.root, 'data'), { recursive: true })
  }

  get usedPages(): number {
    const { blocks, bfree } = statfsSync(this.root)
    return blocks - bfree
  }

  /** Bytes of the longest file. */
  get longestBytes(): number {
    const folder = join(this.root, 'data')
    return Math.max(0, ...readdirSync(folder).map((name) => statSync(join(folder, name)).size))
  }

  /** Takes all pages but so many. */
  leaveFree(pages: number): void {
    const { bavail, bsize } = statfsSync(this.root)
    if (bavail < pages) throw new InvariantError(`a disk of ${diskSize} has ${pages} pages`)
    writeFileSync(join(this.root, 'ballast'), Buffer.alloc((bavail - pages) * bsize))
  }

  /** Makes room again. */
  free(): void {
    const ballast = join(this.root, 'ballast')
    if (existsSync(ballast)) rmSync(ballast)
  }
}
