import { mkdtempSync, rmSync } from 'node:fs'
import { availableParallelism, cpus, tmpdir } from 'node:os'
import { join } from 'node:path'
import { eventBytes, OrderPlaced, orderDataOf } from './events.ts'
import { percentile } from './statistics.ts'
import { SyncLoop } from './sync-loop.ts'

/** What the figures were measured on. */
export interface Machine {
  readonly cores: number
  readonly processor: string
  readonly platform: string
  readonly node: string
  readonly sqlite: string
  /** Write and fdatasync of one event, in milliseconds. */
  readonly syncMs: { readonly p50: number; readonly p99: number }
}

/** Looks at the machine and its disk. */
export function machineFacts(): Machine {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-bench-'))
  try {
    using loop = new SyncLoop(folder)
    const bytes = eventBytes(OrderPlaced(orderDataOf(0)))
    const timesMs = Array.from({ length: 500 }, () => loop.timedMs(bytes))
    return {
      cores: availableParallelism(),
      processor: cpus()[0]?.model ?? 'unknown',
      platform: `${process.platform} ${process.arch}`,
      node: process.version,
      sqlite: process.versions['sqlite'] ?? 'unknown',
      syncMs: { p50: percentile(timesMs, 0.5), p99: percentile(timesMs, 0.99) },
    }
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}
