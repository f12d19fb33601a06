import { expect, it } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { none, on } from '../runtime/index.ts'
import { memoryEngine, Placed, startHandlers } from './app.test-support.ts'

/** An engine whose members hear of their partitions once `released` resolves, as those of a broker hear of them by their next heartbeat. */
function late(engine: Engine, released: Promise<void>): Engine {
  const join: Engine['groups']['join'] = async (options) => {
    let hasHeard = false
    const onAssigned: typeof options.onAssigned = (assignments) => {
      released
        .then(() => {
          hasHeard = true
          return options.onAssigned(assignments)
        })
        .catch(() => undefined)
    }
    const member = await engine.groups.join({ ...options, onAssigned })
    return new Proxy(member, {
      get: (target, name) => {
        if (name === 'claims' && !hasHeard) return []
        const value: unknown = Reflect.get(target, name, target)
        return typeof value === 'function' ? (value.bind(target) as unknown) : value
      },
    })
  }
  const part = <Part extends object>(target: Part, replaced: Readonly<Record<string, unknown>>): Part =>
    new Proxy(target, {
      get: (of, name) => {
        if (typeof name === 'string' && name in replaced) return replaced[name]
        const value: unknown = Reflect.get(of, name, of)
        return typeof value === 'function' ? (value.bind(of) as unknown) : value
      },
    })
  return part(engine, { groups: part(engine.groups, { join }) })
}

it('waits with idle() for partitions that a broker has given and nobody has heard of', async () => {
  await using memory = await memoryEngine()
  let isWell = false
  const handler = on(Placed, { name: 'h', retry: none }, () => {
    if (!isWell) throw new Error('not yet')
  })
  {
    await using running = await startHandlers([handler], { engine: memory })
    await running.publish(Placed({ id: 'a', n: 0 }))
    await running.idle()
    expect(await running.deadLetters.count()).toBe(1)
  }
  isWell = true
  const { promise: released, resolve: release } = Promise.withResolvers<void>()
  await using running = await startHandlers([handler], { engine: late(memory, released) })
  await running.deadLetters.redrive('all')
  let isIdle = false
  const idle = running.idle().then(() => {
    isIdle = true
  })
  // Far longer than two looks take that find nothing to do.
  await new Promise((resolve) => setTimeout(resolve, 300))
  expect(isIdle).toBe(false)
  release()
  await idle
  expect(await running.deadLetters.count()).toBe(0)
})
