import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { Claim, Engine, OffsetRange } from '../engine/index.ts'
import { ClaimLedger, ProgressPlace, readProgress } from './claim-ledger.ts'

const claim: Claim = { group: 'g', topic: 't', partition: 0, epoch: 1 }
const place = new ProgressPlace('g', 't', 0)

async function opened(): Promise<{ readonly store: Engine; readonly ledger: ClaimLedger }> {
  const store = await embedded({ path: ':memory:' }).open()
  const ledger = await ClaimLedger.take(store, claim, { next: 0, done: [] }, 'one', 0, () => Promise.resolve(true))
  if (ledger === undefined) throw new Error('nobody else was there')
  return { store, ledger }
}

async function make(store: Engine, ledger: ClaimLedger, range: OffsetRange): Promise<void> {
  expect(await store.commit({ state: ledger.writes([range]) })).toMatchObject({ ok: true })
  ledger.committed([range])
}

async function progressOf(store: Engine) {
  return (await readProgress(store, place))?.offsets.snapshot()
}

describe('the ledger of a claim', () => {
  it('keeps all of a range that begins where an earlier one began, also as it puts ranges together', async () => {
    const { store, ledger } = await opened()
    await using _ = store
    // With gaps between them, until the next one puts them together.
    for (let n = 0; n < 63; n++) await make(store, ledger, { from: 2 * n + 1, to: 2 * n + 2 })
    await make(store, ledger, { from: 201, to: 202 })
    await make(store, ledger, { from: 201, to: 204 })
    expect((await progressOf(store))?.done.at(-1)).toEqual({ from: 201, to: 204 })
  })

  it('keeps one that is on its way while the next one puts ranges together', async () => {
    const { store, ledger } = await opened()
    await using _ = store
    for (let n = 0; n < 63; n++) await make(store, ledger, { from: 2 * n + 1, to: 2 * n + 2 })
    const ranges = [
      { from: 201, to: 202 },
      { from: 201, to: 206 },
    ] as const
    const underWay = ranges.map((range) => store.commit({ state: ledger.writes([range]) }))
    await underWay[0]
    ledger.committed([ranges[0]])
    await store.commit({ state: ledger.writes([{ from: 301, to: 302 }]) })
    await underWay[1]
    expect((await progressOf(store))?.done.slice(-2)).toEqual([ranges[1], { from: 301, to: 302 }])
  })

  it('loses nothing where a shorter range begins as a longer one did', async () => {
    const { store, ledger } = await opened()
    await using _ = store
    await make(store, ledger, { from: 1, to: 9 })
    await make(store, ledger, { from: 1, to: 3 })
    expect(await progressOf(store)).toMatchObject({ next: 0, done: [{ from: 1, to: 9 }] })
  })

  it('reads what was written with one key for all ranges that begin alike', async () => {
    const { store } = await opened()
    await using _ = store
    const key = `${place.donePrefix}0000000000000005`
    await store.commit({ state: [{ kind: 'set', namespace: place.namespace, key, value: 8 }] })
    expect(await progressOf(store)).toMatchObject({ done: [{ from: 5, to: 8 }] })
  })
})
