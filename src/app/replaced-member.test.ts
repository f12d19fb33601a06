import { describe, expect, it } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { none, on, publish } from '../runtime/index.ts'
import { channels } from '../telemetry/index.ts'
import { engineWith, memoryEngine, messagesOf, numbersByKey, Paid, Placed, startHandlers } from './app.test-support.ts'

/** A member on this engine is silent, and hears nothing: it finds out by its commits that others took its place. */
function deaf(memory: Awaited<ReturnType<typeof memoryEngine>>): Engine {
  return engineWith(memory, 'groups', {
    join: async (options) => {
      const member = await memory.groups.join({ ...options, onLost: () => undefined, sessionTimeoutMs: 300 })
      const { id, claims } = member
      return { id, claims, heartbeat: () => undefined, leave: () => member.leave() }
    },
  })
}

describe('a member that was replaced and does not know', () => {
  it('neither redrives nor handles what waits: that is for the new owner of the partition', async () => {
    await using memory = await memoryEngine()
    await memory.topics.ensure('orders', { partitions: 1 })
    let isBad = true
    const begun: string[] = []
    const gates = new Map(['old', 'new'].map((who) => [who, Promise.withResolvers<void>()]))
    const handlerOf = (who: string): ReturnType<typeof on> =>
      on(Placed, { name: 'h', retry: none, onDeadLetter: 'park-key' }, async ({ data }) => {
        if (isBad) throw new Error('bad')
        begun.push(who)
        await gates.get(who)?.promise
        return publish(Paid({ id: who, n: data.n }))
      })
    const old = await startHandlers([handlerOf('old')], { engine: deaf(memory) })
    await old.publish([0, 1, 2].map((n) => Placed({ id: 'x', n })))
    await expect.poll(() => old.deadLetters.count()).toBe(1)
    await expect.poll(() => memory.state.count('parked:test.s.h')).toBe(2)
    isBad = false
    await old.deadLetters.redrive('all')
    await expect.poll(() => begun).toEqual(['old'])

    await using young = await startHandlers([handlerOf('new')], { engine: memory })
    await expect.poll(() => begun).toEqual(['old', 'new'])
    const rewound: unknown[] = []
    const note = (report: unknown): unknown => rewound.push(report)
    channels.rewound.subscribe(note)
    gates.get('old')?.resolve()
    const publishedCount = async (): Promise<number> => (await messagesOf(memory, 'payments')).length
    await expect.poll(async () => rewound.length + (await publishedCount())).toBe(1)
    channels.rewound.unsubscribe(note)
    // It was refused, and the new one is still at it.
    expect(await publishedCount()).toBe(0)
    expect(await young.deadLetters.count()).toBe(1)

    gates.get('new')?.resolve()
    await young.idle()
    expect(await numbersByKey(memory, 'payments')).toEqual({ new: [0, 1, 2] })
    expect(await memory.state.count('parked:test.s.h')).toBe(0)
    expect(await memory.state.count('parked-keys:test.s.h')).toBe(0)
    await old.stop()
  })
})
