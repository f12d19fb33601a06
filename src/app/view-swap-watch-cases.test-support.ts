import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { type View, view } from '../domain/index.ts'
import { event } from '../message/index.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app } from './index.ts'

const Seen = event('Seen', { topic: 'seen', data: z.object({ id: z.string() }), key: ({ id }) => id })

/** Counts by id; the second version by other keys where an id begins with `x`, and twice as much. */
function seenCounts(version: 1 | 2): View<number> {
  return view('seen-counts', {
    events: [Seen],
    version,
    rebuild: 'manual',
    key: ({ data: { id } }) => (version === 2 && id.startsWith('x') ? `new-${id}` : id),
    initial: 0,
    on: { Seen: (count) => count + version },
  })
}

/** What those who watch a view hear when another copy becomes live. */
export function testViewSwapWatch(ground: AppGround): void {
  describe('a swap, for those who watch', () => {
    it('tells all that the new copy holds and what it does not, then its changes; so does the way back', async () => {
      await using engine = await ground.open()
      const appOf = (version: 1 | 2) => app('eyes', { views: [seenCounts(version)] })
      {
        await using old = await appOf(1).start({ engine })
        for (const id of ['a', 'b', 'x1']) await old.publish(Seen({ id }))
        await old.idle()
      }
      await using running = await appOf(2).start({ engine })
      await running.idle()
      const reader = running.view(seenCounts(2))
      const over = new AbortController()
      const { signal } = over
      const watches = [
        reader.watch({ signal }),
        reader.watch({ signal, prefix: 'x' }),
        reader.watch({ signal, key: 'a' }),
      ]
      const [all, some, one] = watches.map((watch) => watch[Symbol.asyncIterator]()) as [Told, Told, Told]
      const swapped = told(all, 4)
      await reader.copies.swap()
      expect(await swapped).toEqual([
        ['a', 2],
        ['b', 2],
        ['new-x1', 2],
        ['x1', undefined],
      ])
      expect(await told(some, 1)).toEqual([['x1', undefined]])
      expect(await told(one, 1)).toEqual([['a', 2]])
      await running.publish(Seen({ id: 'a' }))
      await running.idle()
      expect(await told(all, 1)).toEqual([['a', 4]])
      expect(await told(one, 1)).toEqual([['a', 4]])
      await reader.copies.rollBack({ behind: 'accept' })
      expect(await told(all, 4)).toEqual([
        ['a', 1],
        ['b', 1],
        ['x1', 1],
        ['new-x1', undefined],
      ])
      over.abort()
    })
  })
}

type Told = AsyncIterator<{ readonly key: string; readonly value: number | undefined }>

async function told(watch: Told, count: number): Promise<readonly (readonly [string, number | undefined])[]> {
  const found: [string, number | undefined][] = []
  while (found.length < count) {
    const { value, done } = await watch.next()
    if (done === true) break
    found.push([value.key, value.value])
  }
  return found
}
