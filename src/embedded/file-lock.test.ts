import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { describe, expect, it, onTestFinished } from 'vitest'
import { codeOf, commit, dataOf, numbered, openEngine, temporaryFolder } from './file.test-support.ts'
import { FileLock } from './file-lock.ts'

const folder = temporaryFolder()

/** A process that owns the file: it publishes one record per line that it is told, and says so. */
const owner = `
  import { embedded } from ${JSON.stringify(join(import.meta.dirname, 'index.ts'))}
  import { createInterface } from 'node:readline'
  const engine = await embedded({ path: process.argv[1], maintenanceIntervalMs: 0 }).open()
  await engine.topics.ensure('orders', { partitions: 1 })
  console.log('open')
  for await (const line of createInterface({ input: process.stdin })) {
    if (line.startsWith('create ')) await engine.topics.create(line.slice(7), { partitions: 1 })
    else if (line.startsWith('delete ')) await engine.topics.delete(line.slice(7))
    else {
      const state = [{ kind: 'set', namespace: 'n', key: 'last', value: line }]
      await engine.commit({ publish: [{ topic: 'orders', records: [{ key: null, value: line }] }], state })
    }
    console.log('done')
  }
  await engine.close()
`

interface Owner {
  readonly pid: number
  tell(line: string): Promise<void>
  end(signal: 'SIGKILL' | 'SIGTERM' | 'close'): Promise<void>
}

async function startOwner(path: string): Promise<Owner> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', owner, path], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]()
  expect((await lines.next()).value).toBe('open')
  return {
    pid: child.pid as number,
    async tell(line) {
      child.stdin.write(`${line}\n`)
      expect((await lines.next()).value).toBe('done')
    },
    async end(signal) {
      const exited = once(child, 'exit')
      if (signal === 'close') child.stdin.end()
      else child.kill(signal)
      await exited
    },
  }
}

describe('the lock of a file', () => {
  it('names the process that owns the file', async () => {
    const path = join(folder, 'owned.db')
    const other = await startOwner(path)
    const error = await openEngine(path).catch((one: unknown) => one)
    expect(error).toMatchObject({ code: 'FILE_LOCKED', details: { ownerProcessId: other.pid } })
    expect(String(error)).toContain(`Process ${other.pid} `)
  })

  it.each(['SIGKILL', 'SIGTERM', 'close'] as const)('goes with its owner (%s)', async (signal) => {
    const path = join(folder, `ended-${signal}.db`)
    const other = await startOwner(path)
    await other.tell('kept')
    await other.end(signal)
    await using engine = await openEngine(path)
    expect((await engine.state.get('n', 'last'))?.value).toBe('kept')
    await commit(engine, { publish: [{ topic: 'orders', messages: numbered(1) }] })
    expect((await dataOf(engine, 'orders')).length).toBe(2)
  })

  it('holds within one process too', async () => {
    const path = join(folder, 'twice.db')
    const first = await openEngine(path)
    await expect(openEngine(path)).rejects.toMatchObject({
      code: 'FILE_LOCKED',
      details: { ownerProcessId: process.pid },
    })
    await first.close()
    await using again = await openEngine(path)
    expect(await again.topics.list()).toEqual([])
  })

  it('goes to one of many who come at once', async () => {
    const path = join(folder, 'race.db')
    const attempts = await Promise.allSettled(Array.from({ length: 5 }, () => openEngine(path)))
    const opened = attempts.filter((one) => one.status === 'fulfilled')
    const codes = attempts.flatMap((one) => (one.status === 'rejected' ? [(one.reason as { code: unknown }).code] : []))
    expect(opened.length).toBe(1)
    expect(codes).toEqual(Array(4).fill('FILE_LOCKED'))
    await opened[0]?.value.close()
  })

  it('can be given back twice', () => {
    const lock = FileLock.acquire(join(folder, 'plain'), 7)
    lock[Symbol.dispose]()
    lock[Symbol.dispose]()
    FileLock.acquire(join(folder, 'plain'), 8)[Symbol.dispose]()
  })
})

describe('an engine that only reads', () => {
  it('sees what another process commits, creates and deletes', async () => {
    const path = join(folder, 'beside.db')
    const writer = await startOwner(path)
    await writer.tell('one')
    const { systemClock } = await import('../kernel/index.ts')
    const { embedded } = await import('./index.ts')
    await using reader = await embedded({ path, readOnly: true }).open({ clock: systemClock })
    expect(await reader.topics.locate('orders', 0, 'latest')).toBe(1)
    expect((await reader.state.get('n', 'last'))?.value).toBe('one')

    const waiting = reader.topics.read({ topic: 'orders', partition: 0, offset: 1, waitMs: 30_000 })
    await writer.tell('two')
    expect((await waiting).nextOffset).toBe(2)

    await writer.tell('create invoices')
    expect((await reader.topics.list()).map(({ name }) => name)).toEqual(['invoices', 'orders'])
    await writer.tell('delete invoices')
    expect(await reader.topics.describe('invoices')).toBeUndefined()
    await writer.tell('create invoices')
    expect((await reader.topics.describe('invoices'))?.partitions.length).toBe(1)
  })

  it('is told of changes of state by another process', async () => {
    const path = join(folder, 'watched.db')
    const writer = await startOwner(path)
    await writer.tell('one')
    const { embedded } = await import('./index.ts')
    await using reader = await embedded({ path, readOnly: true }).open()
    const controller = new AbortController()
    const changes = reader.state.watch('n', { key: 'last', signal: controller.signal })
    const next = changes.next()
    await writer.tell('two')
    expect((await next).value).toEqual({ key: 'last', value: 'two', revision: 2 })
    controller.abort()
    expect((await changes.next()).done).toBe(true)
  })

  it('refuses to write', async () => {
    const path = join(folder, 'refusing.db')
    await using writer = await openEngine(path)
    await writer.topics.create('orders')
    await using reader = await openEngine(path, { readOnly: true })
    const refusals = [
      reader.commit({ state: [{ kind: 'set', namespace: 'n', key: 'k', value: 1 }] }),
      reader.topics.create('more'),
      reader.topics.alter('orders', { partitions: 9 }),
      reader.topics.delete('orders'),
      reader.topics.truncate('orders', 0, 0),
      reader.topics.maintain(),
      reader.topics.registerProducer('p'),
      reader.groups.delete('g'),
      reader.events.truncateStream('s', 1),
    ]
    for (const refusal of refusals) expect(await codeOf(refusal)).toBe('ENGINE_READ_ONLY')
    expect((await reader.topics.list()).length).toBe(1)
  })
})
