import type { Engine, StateWrite } from '../engine/index.ts'
import { type Clock, type Json, sleep } from '../kernel/index.ts'
import { inlineNamespace } from './inline-notes.ts'

interface EpochValue {
  readonly epoch: number
  /** Somebody changes which copies commits write: nobody appends meanwhile. */
  readonly cutting: boolean
}

interface EpochEntry extends EpochValue {
  readonly revision: number
}

/** How long somebody waits for a cut of somebody else before it is taken as abandoned. Cuts take milliseconds. */
const abandonedMs = 5000
const lookMinMs = 1
const lookMaxMs = 50

/**
 * Epochs of the inline views of an app. Which copies the commits of events write may change only between two epochs: each commit
 * is held to the epoch that it assumes, by expecting that nobody has closed it, which costs no write and lets commits
 * run side by side.
 *
 * A cut takes two commits. The first closes the epoch: commits that assume it are refused from here on, and nobody
 * appends under the next one yet. So between the two no event of the app comes to stand that was or was not applied, and what
 * stands can be read and taken in. The second changes what is to be changed and opens the next epoch. Who dies in between is
 * replaced: whoever has waited too long opens the epoch, with nothing changed.
 */
export class InlineEpochs {
  readonly #engine: Engine
  readonly #app: string
  readonly #clock: Clock
  readonly #signal: AbortSignal | undefined

  /** @param signal Ends the waiting for a cut of somebody else, by its reason. */
  constructor(engine: Engine, app: string, clock: Clock, signal?: AbortSignal) {
    this.#engine = engine
    this.#app = app
    this.#clock = clock
    this.#signal = signal
  }

  /** The write that holds a commit to an epoch. */
  guard(epoch: number): StateWrite {
    return { kind: 'delete', namespace: closedNamespace(this.#app), key: String(epoch), expectedRevision: 0 }
  }

  /** Whether an epoch is still the one at hand, and open. */
  async isOpen(epoch: number): Promise<boolean> {
    const found = await this.#read()
    return found.epoch === epoch && !found.cutting
  }

  /** The epoch at hand, once it is open. */
  async opened(): Promise<number> {
    return (await this.#openEntry()).epoch
  }

  /**
   * Cuts between two epochs.
   *
   * @param change Reads what stands, and answers what the second commit writes. While it runs, nobody appends.
   * @returns Whether it was made; else something else changed meanwhile: look again.
   */
  async cut(change: () => Promise<readonly StateWrite[] | undefined>): Promise<boolean> {
    const before = await this.#openEntry()
    const epoch = before.epoch + 1
    const closed = await this.#engine.commit({
      state: [
        this.#write({ epoch, cutting: true }, before.revision),
        {
          kind: 'set',
          namespace: closedNamespace(this.#app),
          key: String(before.epoch),
          value: null,
          expectedRevision: 0,
        },
      ],
    })
    if (!closed.ok) return false
    const revision = before.revision + 1
    let isChanged = false
    try {
      const writes = await change()
      if (writes !== undefined) {
        const open = this.#write({ epoch, cutting: false }, revision)
        isChanged = (await this.#engine.commit({ state: [open, ...writes] })).ok
      }
    } finally {
      if (!isChanged) await this.#open({ epoch, cutting: true, revision })
    }
    return isChanged
  }

  async #openEntry(): Promise<EpochEntry> {
    let lookMs = lookMinMs
    let found = await this.#read()
    let sinceMs = this.#clock.monotonicMs()
    while (found.cutting) {
      if (this.#clock.monotonicMs() - sinceMs >= abandonedMs) await this.#open(found)
      await sleep(lookMs, this.#clock, this.#signal)
      lookMs = Math.min(lookMaxMs, lookMs * 2)
      const { revision } = found
      found = await this.#read()
      if (found.revision !== revision) sinceMs = this.#clock.monotonicMs()
    }
    return found
  }

  /** Opens an epoch with nothing changed, unless somebody else was faster. */
  async #open({ epoch, revision }: EpochEntry): Promise<void> {
    await this.#engine.commit({ state: [this.#write({ epoch, cutting: false }, revision)] })
  }

  async #read(): Promise<EpochEntry> {
    const entry = await this.#engine.state.get(inlineNamespace, this.#app)
    const value = (entry?.value as unknown as EpochValue | undefined) ?? { epoch: 0, cutting: false }
    return { ...value, revision: entry?.revision ?? 0 }
  }

  #write(value: EpochValue, expectedRevision: number): StateWrite {
    return {
      kind: 'set',
      namespace: inlineNamespace,
      key: this.#app,
      value: value as unknown as Json,
      expectedRevision,
    }
  }
}

/** Epochs that are closed, for ever: a commit that assumes one may come late. */
function closedNamespace(app: string): string {
  return `closed-epochs:${app}`
}
