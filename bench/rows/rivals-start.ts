import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import type { RunningServer } from '../../scripts/servers/index.ts'
import { comparisonOf, type Entry } from '../comparison.ts'
import { type Contender, publishers } from '../contenders.ts'
import { Peer, preparePeers } from '../peer.ts'
import { removeServers, requireSettings } from '../rivals.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { median } from '../statistics.ts'

const rounds = 3
const portBase = 24_000
/** What the servers of one place need. */
const portsEach = 500
const askAgainMs = 10

/** How long its parts took. */
interface Start {
  readonly serverMs: number
  readonly programMs: number
}

/** Starts a server that ended, and waits until it answers in its own protocol. */
async function startAgain(server: RunningServer<object>): Promise<void> {
  for (const node of server.nodes) {
    await node.start({ wait: false })
    while (!(await node.answers())) await pause(askAgainMs)
  }
}

/** One that is started again and again. */
class Starter {
  readonly contender: Contender
  readonly starts: Start[] = []
  readonly #args: readonly string[]
  readonly #env: Readonly<Record<string, string>>
  readonly #server: RunningServer<object> | undefined

  private constructor(contender: Contender, args: readonly string[], folder: string, server?: RunningServer<object>) {
    this.contender = contender
    this.#args = args
    // Loaded code is kept beside the file, for all alike.
    this.#env = { NODE_COMPILE_CACHE: join(folder, 'compiled') }
    this.#server = server
  }

  /** Fills what a contender keeps, and ends all of it in good order. */
  static async prepare(contender: Contender, folder: string, count: number): Promise<Starter> {
    await contender.server?.remove()
    const server = await contender.server?.start()
    const starter = new Starter(contender, await contender.args(folder), folder, server)
    {
      await using peer = await starter.#program()
      await requireSettings(contender, peer)
      await peer.ask({ task: 'hold', count, inFlight: 64 })
    }
    await server?.stop()
    return starter
  }

  /** Starts all of it, and ends it again. */
  async measure(): Promise<void> {
    const startMs = performance.now()
    if (this.#server !== undefined) await startAgain(this.#server)
    const serverMs = performance.now() - startMs
    {
      await using peer = await this.#program()
      await peer.ask({ task: 'first' })
      this.starts.push({ serverMs, programMs: performance.now() - startMs - serverMs })
    }
    await this.#server?.stop()
  }

  #program(): Promise<Peer> {
    return Peer.start(this.contender.program, this.#args, this.#env)
  }
}

function entryOf({ contender: { name, part, server }, starts }: Starter): Entry {
  const middle = (of: (start: Start) => number): number => median(starts.map(of))
  const parts = `server ${middle(({ serverMs }) => serverMs).toFixed(0)} ms, program ${middle(({ programMs }) => programMs).toFixed(0)} ms`
  const notes = server === undefined ? [] : [`${parts}, one after the other`]
  return { name, part, value: middle(({ serverMs, programMs }) => serverMs + programMs), notes }
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  await preparePeers()
  const count = quick ? 2_000 : 100_000
  // Each with a server of its own, which nobody else has filled.
  const contenders = publishers.map((contender, index) => contender.apart?.(portBase + portsEach * index) ?? contender)
  const starters: Starter[] = []
  try {
    for (const [index, contender] of contenders.entries()) {
      const own = join(folder, String(index))
      mkdirSync(own)
      starters.push(await Starter.prepare(contender, own, count))
    }
    for (let round = 0; round < rounds; round++) for (const starter of starters) await starter.measure()
  } finally {
    await removeServers(contenders)
  }
  const what = `first event acknowledged, ${count.toLocaleString('en-US')} events there`
  return comparisonOf({ what, unit: 'ms', better: 'less' }, starters.map(entryOf))
}

/** What one waits for who starts all of it. */
export const rivalsStart: BenchRow = { title: 'Start-up beside others', run }
