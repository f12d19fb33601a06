import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { Connection, leaveGroupV5 } from '@platformatic/kafka'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Engine, StateEntry, StateWrite } from '../engine/index.ts'
import { systemClock } from '../kernel/index.ts'
import { channels, type StateRestoredReport } from '../telemetry/index.ts'
import { kafka } from './index.ts'
import { addressOf } from './options.ts'
import {
  eventually,
  firstAssignment,
  freshName,
  joining,
  serversWanted,
  sharedServer,
} from './real-server.test-support.ts'

const dayMs = 86_400_000

const set = (key: string, value: unknown, rest: Partial<StateWrite> = {}): StateWrite =>
  ({ kind: 'set', namespace: 'n', key, value, ...rest }) as StateWrite

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('state on Kafka', { timeout: 60_000 }, () => {
  let brokers: readonly string[] = []
  const root = mkdtempSync(join(tmpdir(), 'millrace-state-'))
  const engines: Engine[] = []
  beforeAll(async () => {
    brokers = (await sharedServer()).bootstrapBrokers
  }, 600_000)
  afterAll(async () => {
    await Promise.all(engines.map((engine) => engine.close()))
    rmSync(root, { recursive: true })
  })

  const folderOf = (name: string): string => join(root, name)
  const opened = async (prefix: string, name: string, aheadMs = 0): Promise<Engine> => {
    const clock = { ...systemClock, nowMs: () => systemClock.nowMs() + aheadMs }
    const source = kafka({ brokers, prefix, state: { folder: folderOf(name) }, groupProtocol: 'classic' })
    const engine = await source.open({ clock: Object.setPrototypeOf(clock, Object.getPrototypeOf(systemClock)) })
    engines.push(engine)
    return engine
  }

  /** What is told while something happens. */
  async function reportsOf(work: () => Promise<unknown>): Promise<StateRestoredReport[]> {
    const reports: StateRestoredReport[] = []
    const note = (report: StateRestoredReport): unknown => reports.push(report)
    channels.stateRestored.subscribe(note)
    try {
      await work()
    } finally {
      channels.stateRestored.unsubscribe(note)
    }
    return reports
  }

  it('lets processes that change the same keys lose no change', async () => {
    const prefix = `${freshName('race')}.`
    const both = [await opened(prefix, `${prefix}1`), await opened(prefix, `${prefix}2`)]
    const accounts = ['a', 'b', 'c']
    await both[0]?.commit({ state: accounts.map((key) => set(key, 100)) })
    let done = 0
    let refused = 0
    const transfer = async (engine: Engine, turn: number): Promise<void> => {
      const keys = [accounts[turn % 3] as string, accounts[(turn + 1) % 3] as string]
      for (;;) {
        const found = await engine.state.getMany('n', keys)
        // What another process committed is read a moment late.
        if (found.some((entry) => entry === undefined)) continue
        const [from, to] = found as [StateEntry, StateEntry]
        const outcome = await engine.commit({
          state: [
            set(from.key, Number(from.value) - 1, { expectedRevision: from.revision }),
            set(to.key, Number(to.value) + 1, { expectedRevision: to.revision }),
          ],
        })
        if (outcome.ok) break
        refused++
      }
      done++
    }
    const work = async (engine: Engine): Promise<void> => {
      for (let turn = 0; turn < 25; turn++) await transfer(engine, turn)
    }
    await Promise.all(both.map(work))
    expect([done, refused > 0]).toEqual([50, true])
    for (const engine of both) {
      await eventually('both see all', async () => {
        const entries = await engine.state.range('n')
        return entries.reduce((sum, { revision }) => sum + revision, 0) === 3 + 2 * done
      })
      const entries = await engine.state.range('n')
      expect(entries.reduce((sum, { value }) => sum + Number(value), 0)).toBe(300)
    }
  })

  it('is read from the changelog where the folder is gone, and from where it stood where it is not', async () => {
    const prefix = `${freshName('restore')}.`
    const writer = await opened(prefix, `${prefix}writer`)
    const value = 'x'.repeat(20_000)
    for (let page = 0; page < 10; page++) {
      await writer.commit({ state: Array.from({ length: 50 }, (_, n) => set(`k${page * 50 + n}`, value)) })
    }
    let reader: Engine | undefined
    const first = await reportsOf(async () => {
      reader = await opened(prefix, `${prefix}reader`)
    })
    expect(await reader?.state.count('n')).toBe(500)
    expect(first.length).toBeGreaterThan(1)
    const end = first.at(-1) as StateRestoredReport
    expect(end.position).toBeGreaterThanOrEqual(end.end)
    await reader?.close()
    await writer.commit({ state: [set('late', 1), { kind: 'delete', namespace: 'n', key: 'k7' }] })
    const second = await reportsOf(async () => {
      reader = await opened(prefix, `${prefix}reader`)
    })
    expect([await reader?.state.count('n'), second.length]).toEqual([500, 1])
    expect((await reader?.state.get('n', 'late'))?.value).toBe(1)
  })

  it('is read anew where the folder has lain about for longer than tombstones are kept', async () => {
    const prefix = `${freshName('outdated')}.`
    const name = `${prefix}reader`
    const first = await opened(prefix, name)
    await first.commit({ state: [set('k', 1)] })
    await first.close()
    // As if it had been deleted since, and the tombstone been compacted away.
    const file = new DatabaseSync(join(folderOf(name), `${prefix}millrace.state.db`))
    file.exec("INSERT INTO state VALUES ('n', 'deleted', 0, 1, '1')")
    file.close()
    const soon = await opened(prefix, name, 3 * dayMs)
    expect(await soon.state.count('n')).toBe(2)
    await soon.close()
    const late = await opened(prefix, name, 8 * dayMs)
    expect((await late.state.range('n')).map(({ key }) => key)).toEqual(['k'])
  })

  it('needs a folder of its own for each engine', async () => {
    const prefix = `${freshName('folder')}.`
    await opened(prefix, prefix)
    await expect(opened(prefix, prefix)).rejects.toMatchObject({ code: 'KAFKA_STATE_FILE_UNUSABLE' })
  })

  it('takes no topic for a changelog that forgets', async () => {
    const prefix = `${freshName('unfit')}.`
    await using plain = await kafka({ brokers, prefix }).open()
    await plain.topics.create('millrace.state', { partitions: 1 })
    await expect(opened(prefix, prefix)).rejects.toMatchObject({ code: 'KAFKA_CHANGELOG_UNFIT' })
    await plain.topics.alter('millrace.state', { cleanup: 'compact', partitions: 2 })
    await expect(opened(prefix, prefix)).rejects.toMatchObject({ code: 'KAFKA_CHANGELOG_UNFIT' })
  })

  it('takes values of many MiB', async () => {
    const prefix = `${freshName('large')}.`
    const engine = await opened(prefix, `${prefix}1`)
    const value = 'y'.repeat(20 * 1024 * 1024)
    await engine.commit({ state: [set('large', value), set('small', 1)] })
    const other = await opened(prefix, `${prefix}2`)
    expect((await other.state.get('n', 'large'))?.value).toHaveLength(value.length)
  })

  it('moves with the claim to another process, and who lost it changes nothing', async () => {
    const prefix = `${freshName('owner')}.`
    const [one, two] = [await opened(prefix, `${prefix}1`), await opened(prefix, `${prefix}2`)]
    await one.topics.create('t', { partitions: 1 })
    await one.commit({ publish: [{ topic: 't', records: [{ key: null, value: 'x' }] }] })
    const first = await joining(one, { group: 'g', topics: ['t'], sessionTimeoutMs: 60_000 })
    const { claim: old } = await firstAssignment(first)
    await one.commit({ state: [set('k', 'first', { owner: old })], progress: [{ claim: old, done: [] }] })
    // Behind its back: its coordinator has given its partition away, and it does not know.
    const { host, port } = addressOf(brokers[0] as string) as { host: string; port: number }
    const meddler = new Connection('meddler')
    await meddler.connect(host, port)
    const [member] = (await one.groups.describe('g'))?.members ?? []
    await leaveGroupV5.api.async(meddler, `${prefix}g`, [{ memberId: String(member?.id) }])
    await meddler.close()
    const zombie = one.commit({ state: [set('k', 'zombie', { owner: old })] })
    const second = await joining(two, { group: 'g', topics: ['t'] })
    expect(await zombie).toMatchObject({ ok: false, conflict: { kind: 'fenced' } })
    await eventually('somebody has the partition', () => first.assigned.length + second.assigned.length === 2)
    await first.member.leave()
    const { claim } = await firstAssignment(second)
    expect((await two.state.get('n', 'k', claim))?.value).toBe('first')
    await two.commit({ state: [set('k', 'second', { owner: claim, expectedRevision: 1 })] })
    await eventually('the first process sees it', async () => {
      const entry = await one.state.get('n', 'k', { group: 'g' })
      return entry?.value === 'second'
    })
    await second.member.leave()
  })
})
