import { describe, expect, it } from 'vitest'
import { accountDecider, Deposit, Deposited, Open } from '../domain/account.test-support.ts'
import { finishDrops, type View, ViewCopies, view } from '../domain/index.ts'
import type { Engine, StateWrite, WriteBatch } from '../engine/index.ts'
import { systemClock } from '../kernel/index.ts'
import { gate, withCommits } from './app.test-support.ts'
import type { AppGround } from './app-ground.test-support.ts'
import { type App, app, service } from './index.ts'

const services = [service('accounts', [accountDecider()])]

function sums(version: number): View<number> {
  return view('sums', {
    events: [Deposited],
    key: ({ data }) => data.id,
    initial: 0,
    on: { Deposited: (count) => count + 1 },
    inline: true,
    version,
    rebuild: 'manual',
  })
}
const bankOf = (...views: readonly View[]): App => app('bank', { services, views })

/** Inline views that are being built when somebody stops. */
export function testInlineStops(ground: AppGround): void {
  async function engineWithDeposits(count: number): Promise<Engine> {
    const engine = await ground.open()
    await using running = await bankOf().start({ engine })
    await running.ask(Open({ id: 'a' }))
    await Promise.all(Array.from({ length: count }, () => running.ask(Deposit({ id: 'a', amount: 1 }))))
    return engine
  }

  const writesOf = (batch: WriteBatch, key: string): readonly Extract<StateWrite, { kind: 'set' }>[] =>
    (batch.state ?? []).filter(
      (one): one is Extract<StateWrite, { kind: 'set' }> =>
        one.kind === 'set' && one.namespace === 'inline-views' && one.key === key,
    )

  describe('the first build of an inline view', () => {
    it('ends when the start of the app is aborted', async () => {
      await using engine = await engineWithDeposits(1000)
      const abort = new AbortController()
      const reason = new Error('enough')
      let stepCount = 0
      const watched = withCommits(engine, (batch) => {
        if (writesOf(batch, 'view:bank.sums:v1').length === 0) return
        if (++stepCount === 1) abort.abort(reason)
      })
      await expect(bankOf(sums(1)).start({ engine: watched, signal: abort.signal })).rejects.toBe(reason)
      // The one that was under way, of each of the two that build it.
      expect(stepCount).toBeLessThanOrEqual(2)
      await using running = await bankOf(sums(1)).start({ engine })
      expect(await running.view(sums(1)).get('a')).toBe(1000)
    })
  })

  it('an app that stops waits for a copy that is being handed over, so that no commands of others have to', async () => {
    await using engine = await engineWithDeposits(3)
    await (await bankOf(sums(1)).start({ engine })).stop()
    const [cutting, go] = [gate(), gate()]
    let isHeld = false
    const held = withCommits(engine, async (batch) => {
      const [write] = writesOf(batch, 'bank')
      if (!isHeld || (write?.value as { readonly cutting?: boolean } | undefined)?.cutting !== false) return
      cutting.open()
      await go.opened
    })
    const second = sums(2)
    const running = await bankOf(second).start({ engine: held })
    const { copies } = running.view(second)
    while ((await copies.status()).next?.eventsBehind !== 0) await running.idle()
    isHeld = true
    const swapped = copies.swap()
    await cutting.opened
    const order: string[] = []
    const stopped = running.stop().then(() => order.push('stopped'))
    // Far enough for whoever does not wait.
    for (let n = 0; n < 20; n++) await new Promise((resolve) => setImmediate(resolve))
    order.push('opened')
    go.open()
    await Promise.all([stopped, swapped])
    expect(order).toEqual(['opened', 'stopped'])
    expect((await engine.state.get('inline-views', 'bank'))?.value).toMatchObject({ cutting: false })
  })

  describe('a copy of an inline view that is given up', () => {
    it('takes nothing any more from who is still building it', async () => {
      await using engine = await engineWithDeposits(10)
      await (await bankOf(sums(1)).start({ engine })).stop()
      const [building, go] = [gate(), gate()]
      const held = withCommits(engine, async (batch) => {
        if (writesOf(batch, 'view:bank.sums:v2').length === 0) return
        building.open()
        await go.opened
      })
      await using running = await bankOf(sums(2)).start({ engine: held })
      await building.opened
      const copies = new ViewCopies({ engine, app: 'bank', view: 'sums', clock: systemClock })
      await copies.drop('next')
      await finishDrops(engine, 'bank', { nowMs: Number.POSITIVE_INFINITY })
      go.open()
      await running.stop()
      expect(await engine.state.namespaces('view:')).toEqual(['view:bank.sums:v1'])
      // Nor does who begins later to go on with it.
      await using again = await bankOf(sums(2)).start({ engine })
      await again.idle()
      expect((await again.view(sums(2)).copies.status()).next).toMatchObject({ copy: 'v2.2' })
      expect(await engine.state.count('view:bank.sums:v2')).toBe(0)
    })
  })
}
