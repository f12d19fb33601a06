import { existsSync, mkdirSync, readdirSync, rmSync, utimesSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { systemClock } from '../kernel/index.ts'
import { partialPathOf } from './backup-leftovers.ts'
import { codeOf, commit, dataOf, message, numbered, openEngine, temporaryFolder } from './file.test-support.ts'

const folder = temporaryFolder()
const filling = 'x'.repeat(1_000)

describe('a backup', () => {
  it.each(['busy.db', ':memory:'])('of an engine that goes on writing is of one moment (%s)', async (name) => {
    const isMemory = name === ':memory:'
    await using engine = await openEngine(isMemory ? name : join(folder, name))
    await engine.topics.create('orders', { partitions: 1 })
    const write = (n: number): Promise<unknown> =>
      commit(engine, {
        publish: [{ topic: 'orders', messages: [message('N', n)] }],
        append: [{ stream: 's', events: [{ message: message('N', filling) }] }],
        state: [{ kind: 'set', namespace: 'n', key: 'last', value: n }],
      })
    let n = 0
    for (; n < 500; n++) await write(n)
    const progress: number[] = []
    let isDone = false
    const target = join(folder, `${isMemory ? 'memory' : 'busy'}-copy.db`)
    const backingUp = engine
      .backup(target, { onProgress: ({ done, total }) => progress.push(done / total) })
      .finally(() => {
        isDone = true
      })
    const before = n
    while (!isDone) await write(n++)
    expect((await backingUp).bytes).toBeGreaterThan(500_000)
    expect(progress).toEqual(progress.toSorted((a, b) => a - b))

    await using copy = await openEngine(target)
    const last = Number((await copy.state.get('n', 'last'))?.value)
    expect(last).toBeGreaterThanOrEqual(before - 1)
    expect((await dataOf(copy, 'orders')).length).toBe(last + 1)
    expect((await copy.events.describeStream('s'))?.version).toBe(last + 1)
    expect((await copy.verify()).damages).toEqual([])
    // It is an engine like any other.
    await commit(copy, { publish: [{ topic: 'orders', messages: numbered(1) }] })
    expect((await dataOf(engine, 'orders')).length).toBe(n)
  })

  it('has what was committed before the call, answered or not', async () => {
    await using engine = await openEngine(join(folder, 'pending.db'))
    const pending = engine.commit({ state: [{ kind: 'set', namespace: 'n', key: 'k', value: 1 }] })
    await engine.backup(join(folder, 'pending-copy.db'))
    await pending
    await using copy = await openEngine(join(folder, 'pending-copy.db'), { readOnly: true })
    expect((await copy.state.get('n', 'k'))?.value).toBe(1)
  })

  it('is whole or refused where several are made to one place at once', async () => {
    const target = join(folder, 'contended-copy.db')
    {
      await using engine = await openEngine(join(folder, 'contended.db'))
      for (let n = 0; n < 20; n++) {
        const events = Array.from({ length: 500 }, () => ({ message: message('N', filling) }))
        await commit(engine, { append: [{ stream: 's', events }] })
      }
      writeFileSync(partialPathOf(target, 999_999_999), 'of a process that is gone')
      const codes = await Promise.all(Array.from({ length: 4 }, () => codeOf(engine.backup(target))))
      expect(codes.filter((code) => code === 'OPTIONS_INVALID')).toHaveLength(3)
    }
    await using copy = await openEngine(target)
    expect((await copy.events.describeStream('s'))?.version).toBe(10_000)
    expect(readdirSync(folder).filter((name) => name.includes('contended-copy.db-partial'))).toEqual([])
  })

  it('removes what another backup has left once it is over, and never one that is under way', async () => {
    await using engine = await openEngine(join(folder, 'leaving.db'))
    const target = join(folder, 'left.db')
    const yesterday = new Date(systemClock.nowMs() - 25 * 60 * 60 * 1000)
    const put = (path: string, at?: Date): string => {
      writeFileSync(path, 'part of a backup')
      if (at !== undefined) utimesSync(path, at, at)
      return path
    }
    const elsewhere = 'c0ffee00c0ffee00'
    const gone = [
      put(partialPathOf(target, 999_999_999)),
      put(partialPathOf(target, process.pid, elsewhere), yesterday),
      put(`${target}-partial-${process.pid}-7`, yesterday),
      // Of another process that had the number of this one.
      put(partialPathOf(target), yesterday),
    ]
    const kept = [
      // This process may be making another one.
      put(partialPathOf(target)),
      // Processes of a container have numbers of their own: that there is none of this number here says nothing.
      put(partialPathOf(target, 999_999_999, elsewhere)),
      put(`${target}-partial-999999999-7`),
      put(`${target}-partial-of-somebody`, yesterday),
    ]
    await engine.backup(target)
    expect(gone.filter((path) => existsSync(path))).toEqual([])
    expect(kept.filter((path) => existsSync(path))).toEqual(kept)
    for (const path of kept) rmSync(path)
  })

  it('overwrites nothing, and goes where it can', async () => {
    await using engine = await openEngine(join(folder, 'source.db'))
    const taken = join(folder, 'taken.db')
    writeFileSync(taken, 'mine')
    mkdirSync(join(folder, 'taken-folder'))
    for (const path of [taken, join(folder, 'taken-folder'), join(folder, 'source.db'), '', 'a\0b', 7]) {
      expect(await codeOf(engine.backup(path as string))).toBe('OPTIONS_INVALID')
    }
    expect(await codeOf(engine.backup(join(folder, 'nowhere', 'copy.db')))).toBe('FILE_UNUSABLE')
    expect(await codeOf(engine.backup('/proc/copy.db'))).toBe('FILE_UNUSABLE')
    expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([])
  })

  it('that is cut short leaves no file that could be taken for one', async () => {
    const engine = await openEngine(join(folder, 'large.db'))
    for (let n = 0; n < 40; n++) {
      const value = 'y'.repeat(300_000)
      await commit(engine, { state: [{ kind: 'set', namespace: 'n', key: String(n), value }] })
    }
    const target = join(folder, 'cut-short.db')
    const thrown = engine.backup(target, {
      onProgress: () => {
        throw new TypeError('enough')
      },
    })
    await expect(thrown).rejects.toThrow('enough')
    expect(existsSync(target)).toBe(false)

    let closing: Promise<void> | undefined
    const outcome = await codeOf(
      engine.backup(target, {
        onProgress: () => {
          closing ??= engine.close()
        },
      }),
    )
    await closing
    expect(outcome).toBe('CLOSED')
    expect(existsSync(target)).toBe(false)
    expect(readdirSync(folder).filter((name) => name.includes('partial'))).toEqual([])
    expect(await codeOf(engine.backup(target))).toBe('CLOSED')
  })
})
