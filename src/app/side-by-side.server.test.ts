import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { postgres } from '../postgres/index.ts'
import { dropSchema, serversWanted, serverUrl } from '../postgres/real-server.test-support.ts'
import { on, publish, set } from '../runtime/index.ts'
import { channels } from '../telemetry/index.ts'
import { numbersByKey, Paid, Placed, startHandlers } from './app.test-support.ts'

const schema = 'side_by_side'
const roundCount = 40
const keys = Array.from({ length: 24 }, (_, n) => `k${n}`)

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('members of one group on three engines of one PostgreSQL', () => {
  let url = ''
  beforeAll(async () => {
    url = await serverUrl()
    await dropSchema(url, schema)
  })
  afterAll(() => dropSchema(url, schema))

  it('work side by side: none refuses what another one commits', async () => {
    await using resources = new AsyncDisposableStack()
    const handlers = [0, 1, 2].map((member) =>
      on(Placed, { name: 'count', state: { initial: 0 } }, ({ data }, state) => {
        busy.add(member)
        return [set(state + 1), publish(Paid({ id: data.id, n: state }))]
      }),
    )
    const busy = new Set<number>()
    const engines: Engine[] = []
    for (const handler of handlers) {
      const engine = resources.use(await postgres({ connection: url, schema, pollMs: 20 }).open())
      engines.push(engine)
      resources.use(await startHandlers([handler], { engine }))
    }
    const [engine] = engines as [Engine]
    const memberCount = async (): Promise<number> => (await engine.groups.describe('test.s.count'))?.members.length ?? 0
    await expect.poll(memberCount).toBe(3)

    // Partitions still move while the last ones join; after that each member has its own.
    const conflicts: string[] = []
    const note = (report: unknown): void => {
      const { reason } = report as { readonly reason: string }
      if (reason.startsWith('conflict')) conflicts.push(reason)
    }
    channels.rewound.subscribe(note)
    resources.defer(() => void channels.rewound.unsubscribe(note))
    for (let n = 0; n < roundCount; n++) {
      await engine.commit({ publish: [{ topic: 'orders', messages: keys.map((id) => Placed({ id, n })) }] })
    }
    const paidCount = async (): Promise<number> => Object.values(await numbersByKey(engine, 'payments')).flat().length
    await expect.poll(paidCount).toBe(roundCount * keys.length)
    expect(conflicts).toEqual([])
    expect(busy.size).toBe(3)
    const counted = Array.from({ length: roundCount }, (_, n) => n)
    expect(await numbersByKey(engine, 'payments')).toEqual(Object.fromEntries(keys.map((key) => [key, counted])))
  })
})
