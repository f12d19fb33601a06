import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, it } from 'vitest'
import { sourceUrl } from './child-process.test-support.ts'
import { cli, testFolder } from './cli.test-support.ts'

/** A program whose view in tables of its own has these versions. */
function programOf(path: string, versions: readonly number[]): string {
  return `
import { DatabaseSync } from 'node:sqlite'
import { app, event, none, service } from ${JSON.stringify(sourceUrl('index.ts'))}
import { sqliteTables, tableView } from ${JSON.stringify(sourceUrl('tables/index.ts'))}
const anything = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }
const Sold = event('Sold', { topic: 'sold', data: anything, key: (data) => data.day })
const database = sqliteTables(new DatabaseSync(${JSON.stringify(path)}))
const sales = (version) => tableView('sales', {
  database, version, events: [Sold], retry: none, tables: { sales: 'sales_v' + version },
  setup: ['CREATE TABLE IF NOT EXISTS sales_v' + version + ' (day TEXT PRIMARY KEY, pence INTEGER)'],
  on: { Sold: (db, { data }) => {
    if (version === 2 && data.day === 'poison') throw new RangeError('cannot be applied')
    db.prepare('INSERT INTO sales_v' + version + ' VALUES (?, ?)').run(data.day, data.pence * version)
  } },
})
export default app('shop', { services: [service('reports', ${JSON.stringify(versions)}.map(sales))] })
`
}

/** A file on which version 1 ran, and a program that has version 2, too. */
async function ground(...days: readonly string[]): Promise<{
  readonly run: (...args: string[]) => ReturnType<typeof cli>
  /** The same, of a program whose tables are in a file where nothing ran. */
  readonly never: (...args: string[]) => ReturnType<typeof cli>
  readonly dev: (versions: readonly number[]) => ReturnType<typeof cli>
  readonly publish: (days: readonly string[]) => ReturnType<typeof cli>
  readonly read: () => readonly unknown[]
  readonly change: (text: string) => void
}> {
  const cwd = testFolder()
  const file = ['--file', join(cwd, 'shop.db')]
  const tables = join(cwd, 'tables.db')
  for (const versions of [[1], [2], [1, 2]]) {
    writeFileSync(join(cwd, `app${versions.join('')}.mjs`), programOf(tables, versions))
  }
  const dev = (versions: readonly number[]): ReturnType<typeof cli> =>
    cli(['dev', `app${versions.join('')}.mjs`, '--once', ...file], { cwd })
  const publish = (sold: readonly string[]): ReturnType<typeof cli> => {
    const stdin = sold.map((day) => `${JSON.stringify({ day, pence: 10 })}\n`).join('')
    return cli(['publish', 'sold', '--type', 'Sold', '--key-field', 'day', ...file], { cwd, stdin })
  }
  await dev([1])
  await publish(days)
  await dev([1])
  return {
    run: (...args) => cli(['views', ...args, '--app', 'app12.mjs', ...file], { cwd }),
    never: (...args) => {
      writeFileSync(join(cwd, 'never.mjs'), programOf(join(cwd, 'never.db'), [1]))
      return cli(['views', ...args, '--app', 'never.mjs', ...file], { cwd })
    },
    dev,
    publish,
    read: () => {
      using readers = new DatabaseSync(tables)
      return readers
        .prepare('SELECT * FROM sales ORDER BY day')
        .all()
        .map(({ day, pence }) => [day, pence])
    },
    change: (text) => {
      using own = new DatabaseSync(tables)
      own.exec(text)
    },
  }
}

const lines = (stdout: string): string[] =>
  stdout
    .trimEnd()
    .split('\n')
    .map((line) => line.replace(/ +/g, ' ').trim())

describe('millrace views, of views in tables', () => {
  it('shows, compares, swaps and rolls back versions', async () => {
    const { run, dev, read, change } = await ground('mo', 'tu')
    expect(lines((await run('status', 'sales')).stdout)).toEqual([
      'COPY ROLE DONE OF BEHIND DEAD LETTERS STATE',
      'v1 live 2 2 0 0 serves reads',
    ])
    await dev([1, 2])
    expect(lines((await run('status', 'sales')).stdout)).toEqual([
      'COPY ROLE DONE OF BEHIND DEAD LETTERS STATE',
      'v1 live 2 2 0 0 serves reads',
      'v2 next 2 2 0 0 caught up, swap by hand',
    ])
    const diff = await run('diff', 'sales', '--limit', '1')
    expect(lines(diff.stdout)).toEqual(['V1 V2', '{"day":"mo","pence":"10"} {"day":"mo","pence":"20"}'])
    expect(diff.stderr).toBe('0 rows are the same, 2 differ, 0 only in v1, 0 only in v2.\n')
    expect((await run('diff', 'sales', '--columns', 'day', '--table', 'sales')).stderr).toContain('2 rows are the same')
    const found = await run('diff', 'sales', '--key', 'day', '--json')
    expect(JSON.parse(found.stdout)).toMatchObject({
      key: ['day'],
      differingCount: 2,
      copies: { live: 'v1', other: 'v2' },
    })
    change('ALTER TABLE sales_v2 ADD COLUMN fee INTEGER')
    expect((await run('diff', 'sales')).stderr).toContain('Not compared, since only v2 has them: fee.\n')
    expect((await run('swap', 'sales', '--dry-run')).stderr).toBe(
      'Would let readers see the tables of v2 in place of those of v1. Nothing was changed.\n',
    )
    expect((await run('swap', 'sales')).exitCode).toBe(6)
    expect(read()).toEqual([
      ['mo', 10],
      ['tu', 10],
    ])
    expect((await run('swap', 'sales', '--yes')).stderr).toBe('View sales is swapped; v2 serves reads.\n')
    expect(read()).toEqual([
      ['mo', 20],
      ['tu', 20],
    ])
    const again = await run('swap', 'sales', '--yes')
    expect([again.exitCode, again.stderr]).toEqual([
      3,
      expect.stringContaining('have readers see v1 again by "millrace views rollback sales"'),
    ])
    const back = await run('rollback', 'sales', '--yes', '--json')
    expect(JSON.parse(back.stdout)).toMatchObject({ live: { copy: 'v1' }, previous: { copy: 'v2' }, next: null })
    expect(read()[0]).toEqual(['mo', 10])
  })

  it('refuses what lacks events or could not take some, unless that is accepted', async () => {
    const { run, dev, publish, read } = await ground('mo', 'poison')
    await dev([1, 2])
    const refused = await run('swap', 'sales', '--yes')
    expect([refused.exitCode, refused.stderr]).toEqual([6, expect.stringContaining('VIEW_DEAD_LETTERS')])
    const misplaced = await run('swap', 'sales', '--yes', '--accept-behind')
    expect([misplaced.exitCode, misplaced.stderr]).toEqual([2, expect.stringContaining('is for inline views')])
    expect((await run('swap', 'sales', '--yes', '--accept-dead-letters')).exitCode).toBe(0)
    await publish(['we'])
    await dev([2])
    const behind = await run('rollback', 'sales', '--yes')
    expect([behind.exitCode, behind.stderr]).toEqual([6, expect.stringContaining('VIEW_BEHIND')])
    expect(read()).toEqual([
      ['mo', 20],
      ['we', 20],
    ])
    expect((await run('rollback', 'sales', '--yes', '--accept-behind')).exitCode).toBe(0)
    expect(read().map((row) => (row as unknown[])[0])).toEqual(['mo', 'poison'])
  })

  it('makes nothing known of what never ran, and finds no other view', async () => {
    const { run, never } = await ground('mo')
    const unseen = await never('status', 'sales')
    expect([unseen.exitCode, unseen.stderr]).toEqual([3, expect.stringContaining('VIEW_NEVER_RUN')])
    expect(lines((await run('status', 'sales')).stdout)).toHaveLength(2)
    const unknown = await run('status', 'others')
    expect([unknown.exitCode, unknown.stderr]).toEqual([3, expect.stringContaining('tableView()')])
  })
})
