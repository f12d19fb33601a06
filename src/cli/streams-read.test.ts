import { join } from 'node:path'
import { beforeAll, describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { VirtualClock } from '../kernel/index.ts'
import { cli, jsonLines, OrderPaid, OrderPlaced, sharedFile } from './cli.test-support.ts'

const shared = sharedFile(() => Promise.resolve())

/** Two events on the first day and two on the second, after which there are none: placed, paid, placed, paid. */
beforeAll(async () => {
  const path = join(shared().cwd, 'days.db')
  for (const day of ['2026-01-01T12:00:00Z', '2026-01-02T12:00:00Z']) {
    const clock = new VirtualClock(Date.parse(day))
    await using engine = await embedded({ path, maintenanceIntervalMs: 0 }).open({ clock })
    const events = [{ message: OrderPlaced({ id: day }), tags: ['placed', day] }, { message: OrderPaid({ id: day }) }]
    await engine.commit({ append: [{ stream: 'order', events }] })
  }
})

async function numbers(field: 'version' | 'position', ...args: string[]): Promise<unknown[]> {
  const { cwd } = shared()
  const { stdout, stderr } = await cli(['streams', 'read', ...args, '--json', '--file', join(cwd, 'days.db')], { cwd })
  expect(stderr).toBe('')
  return jsonLines(stdout).map((event) => (event as Readonly<Record<string, unknown>>)[field])
}

describe('millrace streams read', () => {
  it.each<[args: string, versions: number[]]>([
    ['--type OrderPaid', [2, 4]],
    ['--tag placed', [1, 3]],
    ['--tag placed --tag 2026-01-02T12:00:00Z', [3]],
    ['--type OrderPaid --type OrderPlaced --limit 3', [1, 2, 3]],
    ['--from 2 --until 4', [2, 3]],
    ['--backward --from 3 --until 1', [3, 2]],
    ['--from @2026-01-02', [3, 4]],
    ['--until @2026-01-02', [1, 2]],
    ['--backward --from @2026-01-02T00:00:00Z --type OrderPaid', [2]],
    ['--backward --until @2026-01-02', [4, 3]],
    ['--from @-1h', []],
  ])('takes %s of one stream', async (args, versions) => {
    expect(await numbers('version', 'order', ...args.split(' '))).toEqual(versions)
  })

  it.each<[args: string, positions: number[]]>([
    ['--from @2026-01-02', [3, 4]],
    ['--tag placed --until @2026-01-02', [1]],
    ['--type OrderPaid --from 3', [4]],
    ['--from 2 --until 4', [2, 3]],
  ])('takes %s of the whole store', async (args, positions) => {
    expect(await numbers('position', '--all', ...args.split(' '))).toEqual(positions)
  })
})
