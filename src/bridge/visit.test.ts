import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { ConsumerGroups } from '../engine/index.ts'
import {
  dataOf,
  environment,
  eventually,
  grounds,
  message,
  over,
  publish,
  set,
  staysOpen,
} from './bridge.test-support.ts'
import { BridgedEngine } from './bridged-engine.ts'
import { deployment } from './index.ts'

const nobodyJoins = (groups: ConsumerGroups): ConsumerGroups =>
  Object.assign(Object.create(groups) as ConsumerGroups, {
    join: () => Promise.reject(new Error('a visit joins no group')),
    list: () => groups.list(),
    describe: (group: string) => groups.describe(group),
  })

describe('a visit to two engines', () => {
  it('leaves the relays to others, who carry over what it put into an outbox', async () => {
    await using ground = await grounds()
    await ground.topics.topics.create('out', { partitions: 1 })
    const topics = over(ground.topics, { ...staysOpen, groups: nobodyJoins(ground.topics.groups) })
    const visiting = { ...environment, visit: 'write' } as const
    const visitor = await BridgedEngine.open(topics, over(ground.store, staysOpen), visiting)
    expect(await visitor.commit({ ...set('k', 1), ...publish('out', message('from a visit')) })).toMatchObject({
      ok: true,
    })
    expect((await visitor.inTransit()).length).toBe(1)
    await visitor.close()
    // The outbox is known by now, so that the next one comes upon it when it opens.
    const another = await BridgedEngine.open(topics, over(ground.store, staysOpen), visiting)
    expect((await another.inTransit()).length).toBe(1)
    await another.close()
    await using engine = await ground.both()
    await eventually(async () => (await engine.inTransit?.())?.length === 0)
    expect(await dataOf(ground.topics, 'out')).toEqual(['from a visit'])
  })

  it('that only reads works on files that another process has open', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-visit-'))
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
    const parts = (): Parameters<typeof deployment>[0] => ({
      topics: embedded({ path: join(folder, 'topics.db') }),
      store: embedded({ path: join(folder, 'store.db') }),
    })
    await using program = await deployment(parts()).open(environment)
    await program.topics.create('out', { partitions: 1 })
    await program.commit({ ...set('k', 1), ...publish('out', message(1)) })
    await eventually(async () => (await program.inTransit?.())?.length === 0)
    await using visitor = await deployment(parts()).open({ visit: 'read' })
    expect((await visitor.topics.list()).map(({ name }) => name)).toEqual(['out'])
    expect((await visitor.state.get('n', 'k'))?.value).toBe(1)
    await expect(visitor.commit(set('k', 2))).rejects.toMatchObject({ code: 'ENGINE_READ_ONLY' })
    await expect(deployment(parts()).open({ visit: 'write' })).rejects.toMatchObject({ code: 'FILE_LOCKED' })
  })

  it('that only reads opens memory, too, which no other process can have', async () => {
    await using visitor = await embedded({ path: ':memory:' }).open({ visit: 'read' })
    expect(await visitor.topics.list()).toEqual([])
  })
})
