import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { descendantsOf, type RunningServer } from '../../scripts/servers/index.ts'
import { comparisonOf } from '../comparison.ts'
import { type Contender, publishers } from '../contenders.ts'
import { Peer, preparePeers } from '../peer.ts'
import { residentBytesTogether } from '../resident-memory.ts'
import { removeServers, requireSettings } from '../rivals.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { median } from '../statistics.ts'

const mebibyte = 1024 * 1024
/** What has just been started is still busy with it. */
const settleMs = 2000

/** Memory of the program and of its server, in MiB. */
interface Memory {
  readonly program: number
  readonly server: number
  readonly serverAtStart: number
}

function serverMebibytes(server: RunningServer<object> | undefined): number {
  if (server === undefined) return 0
  const pids = server.nodes.flatMap(({ pid }) => (pid === undefined ? [] : [pid, ...descendantsOf(pid)]))
  return residentBytesTogether(pids) / mebibyte
}

/** Publishes to a server that keeps nothing else, and looks at both before they rest. */
async function memoryOf(contender: Contender, folder: string, count: number): Promise<Memory> {
  const { program, server } = contender
  await server?.remove()
  const running = await server?.start()
  if (running !== undefined) await pause(settleMs)
  const serverAtStart = serverMebibytes(running)
  const args = await contender.args(folder)
  // Loaded code is kept beside the file, for all alike.
  const env = { NODE_COMPILE_CACHE: join(folder, 'compiled') }
  {
    await using first = await Peer.start(program, args, env)
    await requireSettings(contender, first)
  }
  let memory: Memory
  {
    await using peer = await Peer.start(program, args, env)
    await peer.ask({ task: 'hold', count, inFlight: 64 })
    const bytes = residentBytesTogether([peer.pid])
    memory = { program: bytes / mebibyte, server: serverMebibytes(running), serverAtStart }
  }
  await server?.remove()
  return memory
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  await preparePeers()
  const count = quick ? 2_000 : 100_000
  const found = new Map<string, Memory[]>()
  try {
    for (let round = 0; round < (quick ? 1 : 3); round++) {
      for (const contender of publishers) {
        const own = join(folder, `${round}-${contender.program}-${contender.part}`)
        mkdirSync(own, { recursive: true })
        const memory = await memoryOf(contender, own, count)
        found.set(contender.name, [...(found.get(contender.name) ?? []), memory])
      }
    }
  } finally {
    await removeServers(publishers)
  }
  // Kafka's own script asks for 1 GiB from the start.
  const heap = ', heap from 512 MiB to 1 GiB'
  const entries = publishers.map(({ name, part, server }) => {
    const middle = (of: (memory: Memory) => number): number => median((found.get(name) ?? []).map(of))
    const told = (of: (memory: Memory) => number): string => middle(of).toFixed(0)
    const own = `program ${told(({ program }) => program)}`
    const notes =
      server === undefined
        ? []
        : [
            `${own}, server ${told((of) => of.server)} (${told(({ serverAtStart }) => serverAtStart)} after its start${server.name === 'kafka' ? heap : ''})`,
          ]
    return { name, part, value: middle((of) => of.program + of.server), notes }
  })
  const what = `memory after ${count.toLocaleString('en-US')} events, 64 in flight`
  return comparisonOf({ what, unit: 'MiB', better: 'less' }, entries)
}

/** What has to be there for those who publish. */
export const rivalsMemory: BenchRow = { title: 'Memory beside others', run }
