import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { z } from 'zod'
import { embedded } from '../embedded/index.ts'
import { event } from '../message/index.ts'
import { cli } from './cli.test-support.ts'

const from = (folder: string): string => JSON.stringify(new URL(`../${folder}/index.ts`, import.meta.url).href)
const module = `import { app, service } from ${from('app')}
import { boundary, decider } from ${from('domain')}
import { command, event } from ${from('message')}
import { z } from 'zod'
const data = z.object({ id: z.string() })
const tags = ({ id }) => {
  if (id === 'none') throw new Error('of none nothing is known')
  return ['item:' + id]
}
const Added = event('Added', { data, tags })
const add = boundary('add', { command: command('Add', { data }), events: [Added], reads: () => ({}), decide: ({ data }) => Added(data) })
export default app('shop', { services: [service('items', [add])] })
`

let cwd = ''
const run = (...args: string[]) => cli(['streams', ...args, '--file', 'shop.db'], { cwd })

beforeEach(async () => {
  cwd = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
  writeFileSync(join(cwd, 'shop.ts'), module)
  const Added = event('Added', { data: z.object({ id: z.string() }) })
  await using engine = await embedded({ path: join(cwd, 'shop.db') }).open()
  const events = ['a', 'b'].map((id) => ({ message: Added({ id }) }))
  await engine.commit({ append: [{ stream: 'items', events }] })
})

afterEach(() => rmSync(cwd, { recursive: true, force: true }))

const tagged = async (tag: string): Promise<number> =>
  (await run('read', '--all', '--tag', tag, '--json')).stdout.split('\n').filter((line) => line !== '').length

describe('millrace streams retag', () => {
  it('counts first, then gives events the tags of their definitions, once', async () => {
    const dry = await run('retag', 'shop.ts', '--dry-run')
    expect(dry.exitCode).toBe(0)
    expect(dry.stdout.split('\n').map((line) => line.trim().split(/ {2,}/))).toEqual([
      ['TYPE', 'EVENTS', 'LACK TAGS', 'TAGS'],
      ['Added', '2', '2', '2'],
      [''],
    ])
    expect(await tagged('item:a')).toBe(0)
    const done = await run('retag', 'shop.ts', '--json')
    expect(JSON.parse(done.stdout)).toEqual({
      types: [{ type: 'Added', events: 2, changed: 2, tagsAdded: 2 }],
      unreadable: [],
      unreadableCount: 0,
    })
    expect([await tagged('item:a'), await tagged('item:b')]).toEqual([1, 1])
    expect((await run('retag', 'shop.ts')).stdout).toMatch(/Added +2 +0 +0/)
    expect((await cli(['verify', '--file', 'shop.db'], { cwd })).exitCode).toBe(0)
  })

  it('names what cannot be read, and goes on', async () => {
    {
      const Added = event('Added', { data: z.object({ id: z.string() }) })
      await using engine = await embedded({ path: join(cwd, 'shop.db') }).open()
      const events = ['none', 'c'].map((id) => ({ message: Added({ id }) }))
      await engine.commit({ append: [{ stream: 'items', events }] })
    }
    const done = await run('retag', 'shop.ts')
    expect(done.exitCode).toBe(1)
    expect(done.stderr).toMatch(/Added at position 3, items\/3: of none nothing is known/)
    expect(done.stderr).toMatch(/Left as before, as nobody can read it: 1 event\./)
    expect(await tagged('item:c')).toBe(1)
  })

  it('says that the app is to be stopped first', async () => {
    await using _engine = await embedded({ path: join(cwd, 'shop.db') }).open()
    expect(await run('retag', 'shop.ts')).toMatchObject({ exitCode: 5, stderr: expect.stringMatching(/FILE_LOCKED/) })
    expect((await run('retag', 'shop.ts', '--dry-run')).exitCode).toBe(0)
  })
})
