import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { app, service } from '../app/index.ts'
import type { Engine } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { event } from '../message/index.ts'
import { on, set } from '../runtime/index.ts'
import { allOf, choreography, end, timeout } from '../saga/index.ts'
import { sourceUrl } from './child-process.test-support.ts'
import { cli, sharedFile, testFile, testFolder } from './cli.test-support.ts'

const data = z.object({ id: z.string() })
const key = (one: { readonly id: string }): string => one.id
const Began = event('CliBegan', { data, key })
const Came = event('CliCame', { data, key })

function watching(name: string) {
  return choreography(name, {
    events: [Began, Came],
    starts: [Began],
    rules: [
      allOf([Began, Came], () => end('all came')),
      timeout({ after: '15m', since: Began, unless: [Came] }, () => end('too late')),
    ],
  })
}

async function fill(engine: Engine): Promise<void> {
  // Keeps a state of its own, which is no process.
  const counting = on(Began, { name: 'counting', state: { initial: { count: 0 } } }, (_event, { count }) =>
    set({ count: count + 1 }),
  )
  const services = [service('sales', [watching('fulfilment'), counting]), service('post', [watching('sending')])]
  await using running = await app('shop', { services }).start({ engine })
  await running.publish([Began({ id: 'o1' }), Began({ id: 'o2' }), Came({ id: 'o2' }), Came({ id: 'p3' })])
  await running.idle()
}

describe('reading processes', () => {
  const shared = sharedFile(fill)
  const run = (...args: string[]) => cli(['processes', ...args, '--file', shared().path], { cwd: shared().cwd })
  const keys = async (...args: string[]): Promise<string[]> =>
    (JSON.parse((await run('ls', '--json', ...args)).stdout) as { choreography: string; key: string }[]).map(
      (one) => `${one.choreography} ${one.key}`,
    )

  it('lists them', async () => {
    const { stdout } = await run('ls', '--choreography', 'fulfilment')
    expect(stdout.trimEnd().split('\n')).toEqual([
      expect.stringMatching(/^CHOREOGRAPHY +KEY +STATUS +STARTED +DUE +SEEN +OUTCOME$/),
      expect.stringMatching(/^shop\.sales\.fulfilment +o1 +open .* CliBegan +-$/),
      expect.stringMatching(/^shop\.sales\.fulfilment +o2 +ended .* CliBegan, CliCame +all came$/),
      expect.stringMatching(/^shop\.sales\.fulfilment +p3 +expected .* - +-$/),
    ])
    expect(await keys('--status', 'open')).toEqual(['sending o1', 'fulfilment o1'])
    expect(await keys('--service', 'post', '--app', 'shop', '--prefix', 'o')).toEqual(['sending o1', 'sending o2'])
    expect(await keys('--older', '1h')).toEqual([])
    expect(await keys('--app', 'other')).toEqual([])
    expect((await run('ls', '--limit', '2')).stderr).toBe(
      'There are more: --choreography and --after "o2" show the next.\n',
    )
    expect((await run('ls', '--status', 'lost')).exitCode).toBe(2)
  })

  it('shows one', async () => {
    const { stdout } = await run('show', 'o2', '--choreography', 'fulfilment')
    expect(stdout).toMatch(/^status +ended$/m)
    expect(stdout).toMatch(/^outcome +all came$/m)
    expect(stdout).toMatch(/^applied +all of CliBegan, CliCame$/m)
    expect(stdout).toMatch(/^CliCame +\d{4}-\S+ +\{"id":"o2"\}$/m)
    expect((await run('show', 'p3', '--service', 'post')).stdout).toMatch(/^waiting +CliCame$/m)
    expect(JSON.parse((await run('show', 'o1', '--service', 'post', '--json')).stdout)).toMatchObject({
      handler: 'shop.post.sending',
      status: 'open',
    })
    expect((await run('show', 'o1')).stderr).toContain('Several choreographies have key "o1"')
    expect((await run('show', 'nobody')).exitCode).toBe(3)
  })

  it('shows what happened to one, and how it was', async () => {
    const { stdout } = await run('show', 'o2', '--choreography', 'fulfilment', '--past')
    const happened = stdout.slice(stdout.indexOf('TIME')).trimEnd().split('\n')
    const id = '[0-9a-f-]{36}'
    expect(happened).toEqual([
      expect.stringMatching(/^TIME +HAPPENED +EVENT +ID +BECAUSE OF +APPLIED +OUTCOME$/),
      expect.stringMatching(new RegExp(`^\\S+ +started +CliBegan +${id} +- +- +-$`)),
      expect.stringMatching(new RegExp(`^\\S+ +came +CliCame +${id} +- +all of CliBegan, CliCame +all came$`)),
    ])
    const args = ['show', 'o2', '--choreography', 'fulfilment', '--json']
    const { happenings, since } = JSON.parse((await run(...args, '--past')).stdout) as {
      happenings: { what: string; timeMs: number }[]
      since: unknown
    }
    expect([happenings.map(({ what }) => what), since]).toEqual([['started', 'came'], null])
    const then = await run(...args, '--at-time', String((happenings[1]?.timeMs ?? 0) + 86_400_000))
    expect(JSON.parse(then.stdout)).toMatchObject({ key: 'o2', status: 'ended' })
    expect(JSON.parse(then.stdout)).not.toHaveProperty('happenings')
    const early = await run(...args, '--at-time', '2001-01-01')
    expect([early.exitCode, early.stderr]).toEqual([3, expect.stringContaining('The first event for it came at')])
    expect((await run('show', 'o2', '--at-time', 'noon')).exitCode).toBe(2)
    // What waits has a past, too.
    expect((await run('show', 'p3', '--service', 'post', '--past')).stdout).toMatch(/^\S+ +waits +CliCame /m)
  })

  it('says from when on the past of one is known', async () => {
    const { cwd, path } = await testFile(async (engine) => {
      await fill(engine)
      const namespace = 'state:shop.sales.fulfilment'
      const { value } = (await engine.state.get(namespace, 'o1')) ?? {}
      const { past: _past, ...before } = value as { readonly [field: string]: Json }
      await engine.commit({ state: [{ kind: 'set', namespace, key: 'o1', value: before }] })
    })
    const show = (...args: string[]) =>
      cli(['processes', 'show', 'o1', '--service', 'sales', ...args, '--file', path], { cwd })
    const past = await show('--past')
    expect([past.exitCode, past.stderr]).toEqual([0, 'Its past is known from the next thing that happens to it on.\n'])
    const then = await show('--at-time', '2001-01-01')
    expect([then.exitCode, then.stderr]).toEqual([3, expect.stringMatching(/^error PROCESS_PAST_GONE: The past of /)])
    expect(JSON.parse((await show('--past', '--json')).stdout)).toMatchObject({
      happenings: [],
      since: { happenings: 0, timeMs: null },
    })
  })

  it('completes their names', async () => {
    const { cwd, path } = shared()
    const { stdout } = await cli(['__complete', '--', 'processes', 'ls', '--choreography', 'ful'], {
      cwd,
      env: { MILLRACE_FILE: path },
    })
    expect(stdout.split('\n')[0]?.trim()).toBe('fulfilment')
  })
})

describe('drawing what an app declares', () => {
  it('draws sagas and choreographies, and says which there are', async () => {
    const cwd = testFolder()
    writeFileSync(
      join(cwd, 'shop.ts'),
      `import { app, choreography, event, saga, service } from ${JSON.stringify(sourceUrl('index.ts'))}
import { z } from ${JSON.stringify(import.meta.resolve('zod'))}
const Began = event('Began', { data: z.object({ id: z.string() }) })
const watching = choreography('watching', { events: [Began], starts: [Began], rules: [] })
const twice = ['a', 'b'].map((name) => service(name, [watching]))
export default app('shop', {
  services: [...twice, service('c', [choreography('alone', { events: [Began], starts: [Began], rules: [] })])],
  sagas: [saga('checkout', { start: Began }, () => 1)],
})
`,
    )
    const run = (...args: string[]) => cli(args, { cwd })
    expect((await run('sagas', 'diagram', 'shop.ts', 'checkout')).stdout).toBe(
      'flowchart TD\n  start(["Began"]) --> body["saga checkout"]\n',
    )
    expect((await run('processes', 'diagram', 'shop.ts', 'alone')).stdout).toContain('Began begins alone')
    expect((await run('processes', 'diagram', 'shop.ts', 'b.watching')).exitCode).toBe(0)
    const several = await run('processes', 'diagram', 'shop.ts', 'watching')
    expect([several.exitCode, several.stderr]).toEqual([2, expect.stringContaining('a.watching, b.watching')])
    const none = await run('sagas', 'diagram', 'shop.ts', 'nobody')
    expect([none.exitCode, none.stderr]).toEqual([3, expect.stringContaining('The app has: checkout.')])
    const { stdout } = await run('sagas', 'diagram', 'shop.ts', 'checkout', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ kind: 'saga', name: 'checkout', diagram: expect.any(String) })
  })
})
