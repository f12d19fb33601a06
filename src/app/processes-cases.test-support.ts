import { describe, expect, it } from 'vitest'
import { allOf, choreography, end, saga, timeout } from '../saga/index.ts'
import { Paid, Placed } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { app, service } from './index.ts'

const fulfilment = choreography('fulfilment', {
  events: [Placed, Paid],
  starts: [Placed],
  rules: [
    allOf([Placed, Paid], () => end('paid')),
    timeout({ after: '15m', since: Placed, unless: [Paid] }, () => end('nobody paid')),
  ],
})
const one = saga('one', { start: Placed }, () => 1)
const shop = app('shop', { services: [service('s', [fulfilment])], sagas: [one] })

/** The processes of choreographies, as programs look at them. */
export function testProcesses(ground: AppGround): void {
  describe('the processes of a choreography', () => {
    it('are found by key, status and age', async () => {
      await using engine = await ground.open()
      await using running = await shop.start({ engine })
      await running.publish([
        Placed({ id: 'open', n: 1 }),
        Placed({ id: 'over', n: 2 }),
        Paid({ id: 'over', n: 2 }),
        Paid({ id: 'early', n: 3 }),
      ])
      await running.idle()
      const processes = running.processes(fulfilment)
      const opened = await processes.get('open')
      expect(opened).toMatchObject({
        choreography: 'fulfilment',
        key: 'open',
        status: 'open',
        seen: { [Placed.type]: { id: 'open', n: 1 } },
        applied: [],
        waiting: [],
        outcome: null,
        endedMs: null,
      })
      expect((opened?.dueMs ?? 0) - (opened?.startedMs ?? 0)).toBe(15 * 60 * 1000)
      expect(await processes.get('over')).toMatchObject({
        status: 'ended',
        outcome: 'paid',
        applied: [expect.any(String)],
      })
      expect(await processes.get('early')).toMatchObject({ status: 'expected', waiting: [Paid.type], seen: {} })
      expect(await processes.get('nobody')).toBeUndefined()
      const keys = async (selection?: Parameters<typeof processes.list>[0]): Promise<string[]> =>
        (await processes.list(selection)).map(({ key }) => key)
      expect(await keys()).toEqual(['early', 'open', 'over'])
      expect(await keys({ status: ['open', 'ended'] })).toEqual(['open', 'over'])
      expect(await keys({ prefix: 'o', limit: 1 })).toEqual(['open'])
      expect(await keys({ after: 'early', startedFromMs: opened?.startedMs ?? 0 })).toContain('open')
      expect(await keys({ startedToMs: 0 })).toEqual([])
      const other = choreography('fulfilment', { events: [Placed], starts: [Placed], rules: [] })
      expect(() => running.processes(other)).toThrow(expect.objectContaining({ code: 'HANDLER_UNKNOWN' }))
    })
  })

  describe('a selection', () => {
    it.each<[object, RegExp]>([
      [{ limit: 0 }, /limit is 0, not a whole number from 1/],
      [{ limit: Number.NaN }, /limit is NaN/],
      [{ limit: 1.5 }, /limit is 1\.5/],
      [{ status: 'lost' }, /status is lost, not one of /],
      [{ status: ['lost', 7] }, /status is lost.*status is 7/],
      [{ stat: 'parked' }, /stat is not one of status, prefix/],
      [{ startedFromMs: Number.NaN, startedToMs: '2026' }, /startedFromMs is NaN.*startedToMs is 2026/],
      [{ prefix: 7, after: 8 }, /prefix is no text; after is no text/],
    ])('that cannot be meant is refused: %s', async (selection, problem) => {
      await using engine = await ground.open()
      await using running = await shop.start({ engine })
      for (const client of [running.saga(one), running.processes(fulfilment)]) {
        const listed = client.list(selection)
        await expect(listed).rejects.toThrow(problem)
        await expect(listed).rejects.toMatchObject({ code: 'OPTIONS_INVALID' })
      }
    })
  })
}
