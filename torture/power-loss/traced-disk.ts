import { mkdirSync, writeFileSync } from 'node:fs'
import { dirname, join, relative } from 'node:path'
import { InvariantError, type SeededRandom } from '../../src/kernel/index.ts'
import { type Change, contentAfter, type Fate, FileContent } from './file-content.ts'
import type { TracedCall } from './trace.ts'

interface File {
  readonly kind: 'file'
  readonly durable: FileContent
  changes: Dated<Change>[]
}

type EntryChange =
  | { readonly kind: 'link'; readonly name: string; readonly node: Node }
  | { readonly kind: 'unlink'; readonly name: string }
  | { readonly kind: 'rename'; readonly from: string; readonly to: string; readonly node: Node }

interface Folder {
  readonly kind: 'folder'
  /** What a program sees. */
  readonly entries: Map<string, Node>
  readonly durable: Map<string, Node>
  changes: Dated<EntryChange>[]
}

type Node = File | Folder

interface Dated<T> {
  readonly change: T
  /** When the call was over that made it. */
  readonly exit: number
}

interface Open {
  readonly node: Node
  position: number
}

/** What happens to names that no sync of their folder has made durable. */
export interface Fates {
  readonly content: Fate
  readonly names: 'dropped' | 'kept' | 'prefix' | 'subset'
}

/** Everything below a folder: file names, with what they hold. */
export type Tree = ReadonlyMap<string, Buffer>

function newFolder(): Folder {
  return { kind: 'folder', entries: new Map(), durable: new Map(), changes: [] }
}

/**
 * A disk as it was at any moment of a run: what was durable, and what was only on its way. It promises no more than
 * POSIX does: `fsync` of a file makes what was written before durable, not its name; `fsync` of a folder its names.
 */
export class TracedDisk {
  readonly #root: string
  readonly #tree: Folder = newFolder()
  readonly #open = new Map<number, Open>()
  readonly #calls: readonly TracedCall[]
  readonly #exits: readonly TracedCall[]
  #nextEnter = 0
  #nextExit = 0

  /** @param root The folder that was traced. @param before What was durable in it when the run began. */
  constructor(root: string, before: Tree, calls: readonly TracedCall[]) {
    this.#root = root
    this.#calls = calls
    this.#exits = calls.filter(({ exit }) => Number.isFinite(exit)).sort((a, b) => a.exit - b.exit)
    for (const [path, bytes] of before) {
      const { folder, name } = this.#place(join(root, path), true)
      const file: File = { kind: 'file', durable: new FileContent(bytes), changes: [] }
      folder.entries.set(name, file)
      folder.durable.set(name, file)
    }
  }

  /** Goes on until just after what happened at a line of the log; never back. */
  advanceTo(line: number): void {
    for (;;) {
      const begins = this.#calls[this.#nextEnter]
      const ends = this.#exits[this.#nextExit]
      const enter = begins?.enter ?? Number.POSITIVE_INFINITY
      const exit = ends?.exit ?? Number.POSITIVE_INFINITY
      if (Math.min(enter, exit) > line) return
      // A call that was not interrupted begins and ends in one line.
      if (enter <= exit) {
        this.#nextEnter++
        this.#begin(begins as TracedCall)
      } else {
        this.#nextExit++
        this.#end(ends as TracedCall)
      }
    }
  }

  /** How many changes are on their way: with none, all fates are one. */
  get changeCount(): number {
    return this.#countChanges(this.#tree)
  }

  /** Writes the disk as it may be found when the power comes back. */
  writeImage(target: string, fates: Fates, random: SeededRandom): void {
    this.#writeFolder(this.#tree, target, fates, random)
  }

  #writeFolder(folder: Folder, target: string, fates: Fates, random: SeededRandom): void {
    mkdirSync(target, { recursive: true })
    for (const [name, node] of namesAfter(folder, fates.names, random)) {
      const path = join(target, name)
      if (node.kind === 'folder') this.#writeFolder(node, path, fates, random)
      else {
        const changes = node.changes.map(({ change }) => change)
        writeFileSync(path, contentAfter(node.durable, changes, fates.content, random).bytes)
      }
    }
  }

  #countChanges(node: Node): number {
    const below = node.kind === 'folder' ? [...node.entries.values()] : []
    return below.reduce((sum, one) => sum + this.#countChanges(one), node.changes.length)
  }

  /** Changes are on their way from the moment on at which they were asked for. */
  #begin({ call, exit, result }: TracedCall): void {
    if (result < 0) return
    switch (call.kind) {
      case 'write':
      case 'truncate': {
        const file = this.#fileOf(call.descriptor)
        if (file !== undefined) file.node.changes.push({ change: changeOf(call, file.open, result), exit })
        return
      }
      case 'unlink': {
        const { folder, name } = this.#place(call.path, false)
        folder.entries.delete(name)
        folder.changes.push({ change: { kind: 'unlink', name }, exit })
        return
      }
      case 'rename':
        this.#rename(call.from, call.to, exit)
        return
      case 'make-folder': {
        const { folder, name } = this.#place(call.path, false)
        this.#link(folder, name, newFolder(), exit)
        return
      }
      case 'close':
        this.#open.delete(call.descriptor)
        return
      case 'open':
      case 'sync':
        return
    }
  }

  #end({ call, enter, exit, result }: TracedCall): void {
    if (result < 0) return
    if (call.kind === 'open') this.#opened(call, exit, result)
    if (call.kind !== 'sync') return
    const node = this.#open.get(call.descriptor)?.node
    if (node === undefined) return
    // A sync covers what was over before it began.
    if (node.kind === 'file') {
      for (const { change } of node.changes.filter((one) => one.exit <= enter)) node.durable.apply(change)
      node.changes = node.changes.filter((one) => one.exit > enter)
    } else {
      for (const { change } of node.changes.filter((one) => one.exit <= enter)) applyEntry(node.durable, change)
      node.changes = node.changes.filter((one) => one.exit > enter)
    }
  }

  #opened(call: Extract<TracedCall['call'], { kind: 'open' }>, exit: number, descriptor: number): void {
    // The journal lies elsewhere.
    if (relative(this.#root, call.path).startsWith('..')) return
    const { folder, name } = this.#place(call.path, false)
    let node = name === '' ? folder : folder.entries.get(name)
    if (node === undefined) {
      if (!call.creates) throw new InvariantError(`${call.path} was made before it was opened`)
      node = { kind: 'file', durable: new FileContent(), changes: [] }
      this.#link(folder, name, node, exit)
    }
    if (call.truncates && node.kind === 'file') node.changes.push({ change: { kind: 'truncate', byteCount: 0 }, exit })
    this.#open.set(descriptor, { node, position: 0 })
  }

  #link(folder: Folder, name: string, node: Node, exit: number): void {
    folder.entries.set(name, node)
    folder.changes.push({ change: { kind: 'link', name, node }, exit })
  }

  #rename(from: string, to: string, exit: number): void {
    const source = this.#place(from, false)
    const target = this.#place(to, false)
    const node = source.folder.entries.get(source.name)
    if (node === undefined || source.folder !== target.folder) {
      throw new InvariantError(`a rename stays in its folder (${from})`)
    }
    source.folder.entries.delete(source.name)
    source.folder.entries.set(target.name, node)
    source.folder.changes.push({ change: { kind: 'rename', from: source.name, to: target.name, node }, exit })
  }

  #fileOf(descriptor: number): { readonly node: File; readonly open: Open } | undefined {
    const open = this.#open.get(descriptor)
    return open?.node.kind === 'file' ? { node: open.node, open } : undefined
  }

  /** The folder that holds a path, and the path's name in it; the empty name is the traced folder itself. */
  #place(path: string, makesFolders: boolean): { readonly folder: Folder; readonly name: string } {
    const inside = relative(this.#root, path)
    if (inside === '') return { folder: this.#tree, name: '' }
    const above = dirname(inside)
    let folder = this.#tree
    for (const part of above === '.' ? [] : above.split('/')) {
      let next = folder.entries.get(part)
      if (next === undefined && makesFolders) {
        next = newFolder()
        folder.entries.set(part, next)
        folder.durable.set(part, next)
      }
      if (next?.kind !== 'folder') throw new InvariantError(`${path} lies in a folder that is known`)
      folder = next
    }
    return { folder, name: inside.slice(above === '.' ? 0 : above.length + 1) }
  }
}

function changeOf(
  call: Extract<TracedCall['call'], { kind: 'write' | 'truncate' }>,
  open: Open,
  result: number,
): Change {
  if (call.kind === 'truncate') return { kind: 'truncate', byteCount: call.byteCount }
  const offset = call.offset ?? open.position
  // A write that never came back may have done all of its work.
  const bytes = Number.isNaN(result) ? call.bytes : call.bytes.subarray(0, result)
  if (call.offset === null) open.position = offset + bytes.length
  return { kind: 'write', offset, bytes }
}

function applyEntry(names: Map<string, Node>, change: EntryChange): void {
  if (change.kind === 'link') names.set(change.name, change.node)
  else if (change.kind === 'unlink') names.delete(change.name)
  else if (names.has(change.from)) {
    names.delete(change.from)
    names.set(change.to, change.node)
  }
}

function namesAfter(folder: Folder, fate: Fates['names'], random: SeededRandom): ReadonlyMap<string, Node> {
  const names = new Map(folder.durable)
  const prefix = random.nextUint32() % (folder.changes.length + 1)
  for (const [index, { change }] of folder.changes.entries()) {
    const isKept =
      fate === 'kept' || (fate === 'prefix' ? index < prefix : fate === 'subset' && random.nextFloat() < 0.5)
    if (isKept) applyEntry(names, change)
  }
  return names
}
