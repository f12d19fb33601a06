import { comparisonOf } from './comparison.ts'
import type { Contender } from './contenders.ts'
import { Peer, preparePeers } from './peer.ts'
import type { Figure } from './row.ts'
import { alternate, median } from './statistics.ts'

/** What a program answers to a task. */
interface Answer {
  readonly rate: number
  readonly p50Ms?: number
  readonly p99Ms?: number
}

/** One thing that all are asked to do. */
export interface Contest {
  readonly what: string
  readonly unit: string
  readonly task: string
  readonly settings: (name: string) => Readonly<Record<string, number>>
  /** Also told are the latencies; of those the middle is what counts. */
  readonly counts?: 'rate' | 'latency'
  /** What one has to know to read the figure of a system. */
  readonly notes?: (name: string) => readonly string[]
}

/** The systems that stand beside Millrace, each in a process of its own, with the servers that they need. */
export class Rivals implements AsyncDisposable {
  readonly #contenders: readonly Contender[]
  readonly #peers = new Map<string, Peer>()
  readonly #open = new AsyncDisposableStack()

  private constructor(contenders: readonly Contender[]) {
    this.#contenders = contenders
    this.#open.defer(() => removeServers(contenders))
  }

  /** Starts all of them. Fails if one is not set up as it says. */
  static async open(folder: string, contenders: readonly Contender[]): Promise<Rivals> {
    await preparePeers()
    const rivals = new Rivals(contenders)
    try {
      for (const contender of contenders) {
        const peer = rivals.#open.use(await Peer.start(contender.program, await contender.args(folder)))
        rivals.#peers.set(contender.name, peer)
        await requireSettings(contender, peer)
      }
      return rivals
    } catch (error) {
      await rivals[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync()
  }

  /** Lets each of them do something once, of which nothing is measured. */
  async prepare(task: string, settings: Contest['settings']): Promise<void> {
    for (const [name, peer] of this.#peers) await peer.ask({ task, ...settings(name) })
  }

  /** Lets all of them do it in turn, so often. */
  async measure(contest: Contest, rounds: number): Promise<readonly Figure[]> {
    const { what, unit, task, settings, counts = 'rate', notes } = contest
    const latencies = new Map<string, { readonly p50: number[]; readonly p99: number[] }>()
    const measures = [...this.#peers].map(([name, peer]) => {
      const seen = { p50: [] as number[], p99: [] as number[] }
      latencies.set(name, seen)
      const measure = async (): Promise<number> => {
        const answer = (await peer.ask({ task, ...settings(name) })) as Answer
        if (answer.p50Ms !== undefined) seen.p50.push(answer.p50Ms)
        if (answer.p99Ms !== undefined) seen.p99.push(answer.p99Ms)
        return answer.rate
      }
      return [name, measure] as const
    })
    const rates = await alternate(rounds, Object.fromEntries(measures))
    const entries = this.#contenders.map(({ name, part }) => {
      const { p50, p99 } = latencies.get(name) ?? { p50: [], p99: [] }
      return {
        name,
        part,
        value: counts === 'rate' ? (rates[name] as number) : median(p50),
        notes: [...latencyNotes(p50, p99, counts), ...(notes?.(name) ?? [])],
      }
    })
    return comparisonOf({ what, unit, better: counts === 'rate' ? 'more' : 'less' }, entries)
  }
}

function latencyNotes(p50: readonly number[], p99: readonly number[], counts: 'rate' | 'latency'): readonly string[] {
  if (p99.length === 0) return []
  return [`${counts === 'rate' ? `p50 ${median(p50).toFixed(2)} ms, ` : ''}p99 ${median(p99).toFixed(2)} ms`]
}

/** Fails if a contender, or its server, does not say of itself what makes it as durable as its name tells. */
export async function requireSettings({ name, settings }: Contender, peer: Peer): Promise<void> {
  const found = (await peer.ask({ task: 'settings' })) as Readonly<Record<string, string>>
  const wrong = Object.entries(settings).filter(([setting, value]) => found[setting] !== value)
  if (wrong.length === 0) return
  const told = wrong.map(([setting, value]) => `${setting} is ${found[setting] ?? 'not told'}, not ${value}`)
  throw new Error(`${name} is not set up as it is to be: ${told.join('; ')}.`)
}

/** Stops the servers of contenders, and removes their data. */
export async function removeServers(contenders: readonly Contender[]): Promise<void> {
  for (const { server } of contenders) await server?.remove()
}
