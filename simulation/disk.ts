import type { DatabaseSync } from 'node:sqlite'
import { memoryPath, openForWriting } from '../src/embedded/connection.ts'
import { EmbeddedEngine, type EmbeddedSource, embedded } from '../src/embedded/index.ts'
import { resolveEmbeddedOptions } from '../src/embedded/options.ts'
import type { StoreRequest } from '../src/embedded/store/protocol.ts'
import { fillChecksums } from '../src/embedded/store/schema.ts'
import { Store } from '../src/embedded/store/store.ts'
import { type Disk, DiskClient } from './disk-client.ts'
import type { Draw } from './draw.ts'
import type { PlantedFault } from './faults.ts'
import { type CommitFate, faultyConnection } from './faulty-connection.ts'
import type { History } from './history.ts'
import type { Life } from './life.ts'
import type { DiskWeather } from './weather.ts'

/** Bugs that take back what was stored: the disk has to remember what it was asked for. */
const forgetting: ReadonlySet<PlantedFault | undefined> = new Set(['no-sync', 'sync-failure-ignored'])

/** What a process was asked to store: a request, or that it was opened anew. */
type JournalEntry = StoreRequest | 'opened'

/**
 * The disk of the simulated machine: a SQLite database in memory that outlives the processes. A process writes it by the real
 * writing side, in the real order, through a {@link DiskClient} that takes its time and dies with the process.
 */
export class SimulatedDisk implements Disk {
  readonly name: string
  readonly history: History
  readonly #draw: Draw
  readonly #weather: DiskWeather
  readonly #journal: JournalEntry[] | undefined
  /** Entries of the journal that a crash leaves, where a planted bug loses the others. */
  #durableCount: number | undefined
  /** The one in use, and before it those of processes that have died. */
  readonly #databases: DatabaseSync[] = [openForWriting(memoryPath)]
  #fate: CommitFate = 'stored'
  /** Writers whose sync has failed. */
  readonly #failed = new WeakSet<Store>()

  constructor(name: string, options: { draw: Draw; weather: DiskWeather; history: History }) {
    this.name = name
    this.#draw = options.draw
    this.#weather = options.weather
    this.history = options.history
    this.#journal = forgetting.has(this.history.planted) ? [] : undefined
  }

  /** An embedded engine on this disk, for a process that lives as long as `life`. */
  source(life: Life): EmbeddedSource {
    const options = { path: `${this.name}.db` }
    return {
      name: 'embedded',
      capabilities: embedded(options).capabilities,
      open: () =>
        EmbeddedEngine.open(resolveEmbeddedOptions(options), life, async () => {
          await life.pause(20)
          const client = new DiskClient(this, this.#openStore(), life, this.#weather)
          const reader = this.#db
          return {
            reader,
            client,
            snapshot: () => ({ db: reader, release: () => undefined }),
            close: () => client.close(),
          }
        }),
    }
  }

  carryOut(store: Store, request: StoreRequest, fate: CommitFate): unknown {
    // Nobody is told what became of a commit whose sync failed. It is made now, if it is: by a writer that knows what it had taken back.
    const isFirst = fate === 'sync-failed' && !this.#failed.has(store)
    const isKept = isFirst && this.#draw.chance(0.5)
    this.#fate = isKept ? 'stored-by-a-failed-sync' : fate
    try {
      const answer = store.handle(request)
      this.#journal?.push(request)
      // Nobody knows what a disk keeps of this whose last sync failed.
      this.history.check(
        !this.#failed.has(store),
        'a failed sync stops acknowledgements',
        () => `${request.kind} was answered after it`,
      )
      return answer
    } catch (error) {
      if (isFirst) {
        if (isKept) this.#journal?.push(request)
        this.#failed.add(store)
        this.history.reach(isKept ? 'a failed sync had stored its commit' : 'a failed sync had stored nothing')
      }
      throw error
    } finally {
      this.#fate = 'stored'
    }
  }

  get keepsRequests(): boolean {
    return this.#journal !== undefined
  }

  storeAgain(store: Store, request: StoreRequest | undefined): void {
    if (request !== undefined) store.handle(request)
  }

  reopenCarelessly(): Store {
    this.#durableCount ??= this.#journal?.length
    return this.#openStore()
  }

  /** For a planted bug: one batch of a topic is gone, as if compaction had taken it, so that no reader notices it by itself. */
  loseBatch(): void {
    this.#db.exec(`UPDATE partition SET gaps_to = last_offset + 1
        FROM (SELECT partition_id, last_offset FROM batch ORDER BY rowid LIMIT 1) AS lost WHERE partition.id = lost.partition_id;
      DELETE FROM batch WHERE rowid = (SELECT min(rowid) FROM batch)`)
    fillChecksums(this.#db, 'partition')
  }

  crash(store: Store, waiting: readonly StoreRequest[], isFailed: boolean): void {
    const kept = isFailed ? 0 : this.#draw.int(0, waiting.length)
    for (const request of waiting.slice(0, kept)) this.carryOut(store, request, 'stored')
    if (waiting.length > 0) this.history.reach(kept > 0 ? 'a commit under way was kept' : 'a commit under way was lost')
    this.history.trace.write(`disk ${this.name}: keeps ${kept} of ${waiting.length} requests under way`)
    this.#forget()
  }

  /** Gives its memory back, once nothing runs on it any more. */
  close(): void {
    for (const db of this.#databases) db.close()
  }

  get #db(): DatabaseSync {
    return this.#databases[0] as DatabaseSync
  }

  #openStore(): Store {
    this.#journal?.push('opened')
    return new Store(faultyConnection(this.#db, () => this.#fate))
  }

  /** Planted bugs lose what the journal holds beyond what was synced. */
  #forget(): void {
    const journal = this.#journal
    if (journal === undefined) return
    if (this.history.planted === 'no-sync') this.#durableCount = Math.max(0, journal.length - this.#draw.int(0, 4))
    if (this.#durableCount === undefined) return
    const kept = journal.splice(0).slice(0, this.#durableCount)
    this.#durableCount = undefined
    this.#databases.unshift(openForWriting(memoryPath))
    let store: Store | undefined
    for (const entry of kept) {
      if (entry === 'opened' || store === undefined) store = this.#openStore()
      if (entry !== 'opened') this.carryOut(store, entry, 'stored')
    }
  }
}
