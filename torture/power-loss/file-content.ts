import type { SeededRandom } from '../../src/kernel/index.ts'

/** What disks of today write in one piece, whatever else they promise. */
const sectorBytes = 512

/** A change of a file that no sync has made durable yet. */
export type Change =
  | { readonly kind: 'write'; readonly offset: number; readonly bytes: Buffer }
  | { readonly kind: 'truncate'; readonly byteCount: number }

/**
 * What became of changes that were not synced when the power went:
 *
 * - `dropped`: none of them is there;
 * - `kept`: all are, as after a kill;
 * - `prefix`: the disk was behind and wrote in order;
 * - `subset`: each is there or not, in any order;
 * - `torn`: of each write every sector is there or not, for itself;
 * - `garbage`: as `torn`, and some sectors that were being written hold neither the old nor the new.
 */
export const fates = ['dropped', 'kept', 'prefix', 'subset', 'torn', 'garbage'] as const
export type Fate = (typeof fates)[number]

/** The bytes of a file, which grow and shrink. */
export class FileContent {
  #bytes: Buffer
  #byteCount: number

  constructor(bytes: Buffer = Buffer.alloc(0)) {
    this.#bytes = Buffer.from(bytes)
    this.#byteCount = bytes.length
  }

  get byteCount(): number {
    return this.#byteCount
  }

  get bytes(): Buffer {
    return this.#bytes.subarray(0, this.#byteCount)
  }

  apply(change: Change): void {
    if (change.kind === 'truncate') this.resize(change.byteCount)
    else this.write(change.offset, change.bytes)
  }

  write(offset: number, bytes: Buffer): void {
    if (offset + bytes.length > this.#byteCount) this.resize(offset + bytes.length)
    bytes.copy(this.#bytes, offset)
  }

  /** What is new reads as zeros. */
  resize(byteCount: number): void {
    if (byteCount > this.#bytes.length) {
      const larger = Buffer.alloc(Math.max(byteCount, this.#bytes.length * 2))
      this.bytes.copy(larger)
      this.#bytes = larger
    }
    if (byteCount < this.#byteCount) this.#bytes.fill(0, byteCount, this.#byteCount)
    this.#byteCount = byteCount
  }
}

/** What a file holds after the power went, given what was durable and what was on its way. */
export function contentAfter(
  durable: FileContent,
  changes: readonly Change[],
  fate: Fate,
  random: SeededRandom,
): FileContent {
  const after = new FileContent(durable.bytes)
  const chance = [0.1, 0.5, 0.9][random.nextUint32() % 3] as number
  const prefix = random.nextUint32() % (changes.length + 1)
  for (const [index, change] of changes.entries()) {
    const isKept =
      fate === 'kept' || (fate === 'prefix' ? index < prefix : fate !== 'dropped' && random.nextFloat() < chance)
    if (change.kind === 'write' && (fate === 'torn' || fate === 'garbage')) tear(after, change, chance, fate, random)
    else if (isKept) after.apply(change)
  }
  return after
}

function tear(
  file: FileContent,
  { offset, bytes }: Extract<Change, { kind: 'write' }>,
  chance: number,
  fate: Fate,
  random: SeededRandom,
): void {
  const end = offset + bytes.length
  // The new size may be on the disk before what fills it.
  if (end > file.byteCount && random.nextFloat() < 0.3) file.resize(end)
  for (let from = offset; from < end; ) {
    const to = Math.min(end, (Math.floor(from / sectorBytes) + 1) * sectorBytes)
    const piece = bytes.subarray(from - offset, to - offset)
    if (random.nextFloat() < chance) file.write(from, piece)
    else if (fate === 'garbage' && random.nextFloat() < 0.2) file.write(from, garbage(piece.length, random))
    from = to
  }
}

/** Bytes that nobody wrote. */
export function garbage(byteCount: number, random: SeededRandom): Buffer {
  const bytes = Buffer.alloc(byteCount)
  for (let i = 0; i + 4 <= byteCount; i += 4) bytes.writeUInt32LE(random.nextUint32(), i)
  return bytes
}
