import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { groupBytes, orderMessages } from '../events.ts'
import { residentBytesOf } from '../resident-memory.ts'
import type { BenchRow, Figure, RowSettings } from '../row.ts'
import { see } from '../see.ts'
import { median, rateOf } from '../statistics.ts'
import { SyncLoop } from '../sync-loop.ts'

const mebibyte = 1024 * 1024
const sampleIntervalMs = 50
const groupSize = 1024

interface ShopOutcome {
  readonly events: number
  readonly eventsPerSecond: number
  readonly openOrders: number
  readonly stockViolations: number
  readonly residentBytes: readonly number[]
}

/** Runs the shop as a user does, and looks at its memory meanwhile. */
async function runShop(repeat: number, folder: string): Promise<ShopOutcome> {
  const script = join(import.meta.dirname, '..', '..', 'examples', 'shop', 'main.ts')
  const args = [script, '--once', '--json', '--repeat', String(repeat), '--data', join(folder, `shop-${repeat}`)]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] })
  const ended = once(child, 'close') as Promise<[number | null]>
  let output = ''
  let complaint = ''
  child.stdout.on('data', (text: Buffer) => (output += text.toString()))
  child.stderr.on('data', (text: Buffer) => (complaint += text.toString()))
  const residentBytes: number[] = []
  while (child.exitCode === null && child.signalCode === null) {
    const bytes = child.pid === undefined ? undefined : residentBytesOf(child.pid)
    if (bytes !== undefined) residentBytes.push(bytes)
    await Promise.race([sleep(sampleIntervalMs), ended])
  }
  const [code] = await ended
  if (code !== 0) throw new Error(`the shop ended with exit code ${code}: ${complaint.slice(0, 2000)}`)
  return { ...(JSON.parse(output) as Omit<ShopOutcome, 'residentBytes'>), residentBytes }
}

/** The least that as many events cost: parse, write, sync. */
function leastRate(folder: string, eventCount: number): Promise<number> {
  using loop = new SyncLoop(folder)
  const messages = orderMessages(groupSize)
  const group = groupBytes(messages)
  const texts = messages.map(({ data }) => JSON.stringify(data))
  return rateOf(eventCount, () => {
    for (let i = 0; i < eventCount; i++) {
      see(JSON.stringify(JSON.parse(texts[i % groupSize] as string)).length)
      if (i % groupSize === groupSize - 1) loop.write(group)
    }
  })
}

/** Memory after `part` of the run, in MiB: the middle of what was seen in the fifth of the run around it. */
function memoryAt(outcome: ShopOutcome, part: number): number {
  const { residentBytes } = outcome
  const middle = residentBytes.length * part
  const reach = residentBytes.length / 10
  return median(residentBytes.slice(Math.floor(middle - reach), Math.ceil(middle + reach))) / mebibyte
}

async function run({ quick, folder }: RowSettings): Promise<readonly Figure[]> {
  const repeat = quick ? 20 : 200
  const outcome = await runShop(repeat, folder)
  if (outcome.openOrders > 0 || outcome.stockViolations > 0) throw new Error('the shop broke its promises')
  const least = await leastRate(folder, Math.min(outcome.events, 200_000))
  return [
    {
      what: `throughput, --repeat ${repeat}, ${outcome.events.toLocaleString('en-US')} events`,
      value: outcome.eventsPerSecond,
      unit: 'events/s',
      limit: { what: 'JSON.parse+JSON.stringify+write+fdatasync', value: least },
      target: { of: 'value', atLeast: 20_000 },
    },
    {
      what: 'memory after 90 % of the orders, by that after 30 %',
      value: memoryAt(outcome, 0.9) / memoryAt(outcome, 0.3),
      unit: '×',
      target: { of: 'value', atMost: 1.2 },
      notes: [`${memoryAt(outcome, 0.3).toFixed(0)} MiB, then ${memoryAt(outcome, 0.9).toFixed(0)} MiB`],
    },
    { what: 'largest memory', value: Math.max(...outcome.residentBytes) / mebibyte, unit: 'MiB' },
  ]
}

/** The main job, with its five services and its views. */
export const shopRun: BenchRow = { title: 'The shop', run }
