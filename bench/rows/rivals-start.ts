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

/** Fills what a contender keeps, ends all of it in good order, and starts it again, so often. */
async function startsOf(contender: Contender, folder: string, count: number): Promise<readonly Start[]> {
  const { program, server } = contender
  // Loaded code is kept beside the file, for all alike.
  const env = { NODE_COMPILE_CACHE: join(folder, 'compiled') }
  await server?.remove()
  const running = await server?.start()
  const args = await contender.args(folder)
  {
    await using peer = await Peer.start(program, args, env)
    await requireSettings(contender, peer)
    await peer.ask({ task: 'hold', count, inFlight: 64 })
  }
  const starts: Start[] = []
  for (let round = 0; round < rounds; round++) {
    await running?.stop()
    const startMs = performance.now()
    if (running !== undefined) await startAgain(running)
    const serverMs = performance.now() - startMs
    await using peer = await Peer.start(program, args, env)
    await peer.ask({ task: 'first' })
    starts.push({ serverMs, programMs: performance.now() - startMs - serverMs })
  }
  await server?.remove()
  return starts
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  await preparePeers()
  const count = quick ? 2_000 : 100_000
  const entries: Entry[] = []
  try {
    for (const [index, contender] of publishers.entries()) {
      const own = join(folder, String(index))
      mkdirSync(own)
      const starts = await startsOf(contender, own, count)
      const middle = (of: (start: Start) => number): number => median(starts.map(of))
      const { name, part, server } = contender
      const parts = `server ${middle(({ serverMs }) => serverMs).toFixed(0)} ms, program ${middle(({ programMs }) => programMs).toFixed(0)} ms`
      const notes = server === undefined ? [] : [`${parts}, one after the other`]
      entries.push({ name, part, value: middle(({ serverMs, programMs }) => serverMs + programMs), notes })
    }
  } finally {
    await removeServers(publishers)
  }
  const what = `first event acknowledged, ${count.toLocaleString('en-US')} events there`
  return comparisonOf({ what, unit: 'ms', better: 'less' }, entries)
}

/** What one waits for who starts all of it. */
export const rivalsStart: BenchRow = { title: 'Start-up beside others', run }
