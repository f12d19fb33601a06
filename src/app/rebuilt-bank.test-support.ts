import { expect } from 'vitest'
import { accountDecider, Deposited } from '../domain/account.test-support.ts'
import { type View, view } from '../domain/index.ts'
import type { Engine } from '../engine/index.ts'
import { type App, app, type RunningApp, service } from './index.ts'

/** What the views of this bank know of an account. */
export interface Deposits {
  readonly count: number
  /** The version that made the value. */
  readonly by: number
}

function deposits(name: string, version: number, inline: boolean): View<Deposits> {
  return view(name, {
    events: [Deposited],
    key: ({ data }) => data.id,
    initial: { count: 0, by: version },
    on: { Deposited: ({ count }) => ({ count: count + 1, by: version }) },
    inline,
    version,
  })
}

/** A bank with a view that follows and an inline one, in a version. */
export function rebuiltBank(version: number): {
  readonly bank: App
  readonly followed: View<Deposits>
  readonly inline: View<Deposits>
} {
  const followed = deposits('followed', version, false)
  const inline = deposits('inline', version, true)
  const services = [service('accounts', [accountDecider()])]
  return { bank: app('rebuilt', { services, views: [followed, inline] }), followed, inline }
}

/** Each view is what a fold of all events from zero is, made by the version that is expected. */
export async function checkRebuilt(
  running: RunningApp,
  engine: Engine,
  version: number,
  note: string,
): Promise<number> {
  const counted = new Map<string, Deposits>()
  let eventCount = 0
  for await (const { message } of engine.events.readAll({ query: { items: [{ types: ['Deposited'] }] } })) {
    const { id } = message.data as { readonly id: string }
    counted.set(id, { count: (counted.get(id)?.count ?? 0) + 1, by: version })
    eventCount++
  }
  const { followed, inline } = rebuiltBank(version)
  for (const one of [followed, inline]) {
    const found = new Map<string, Deposits>()
    for await (const { key, value } of running.view(one).list()) found.set(key, value)
    expect(found, `${one.name}, ${note}`).toEqual(counted)
  }
  return eventCount
}
