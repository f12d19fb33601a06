import { afterAll, describe, expect, it } from 'vitest'
import { startServer, stopServer } from '../../scripts/servers/index.ts'
import { embedded } from '../embedded/index.ts'
import { sleep, systemClock } from '../kernel/index.ts'
import { CapturedDatabase, folded, serversWanted, until } from './captured-database.test-support.ts'
import { captureChanges } from './index.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('a commit that waits for another server', { timeout: 60_000 }, () => {
  const place = { portBase: Number(process.env['MILLRACE_SERVERS_PORT_BASE'] ?? 19_000) + 4740 }
  afterAll(() => stopServer('postgres', { ...place, deleteData: true }))

  it('is streamed before statements see it, and no row of a snapshot goes back behind it', async () => {
    const server = await startServer('postgres', place)
    const local = { connectionString: server.connection.url, options: '-c synchronous_commit=local' }
    await using superuser = await CapturedDatabase.open('superuser', server.connection.superuserUrl)
    await using database = await CapturedDatabase.open('waiting', server.connection.url)
    await using engine = await embedded({ path: ':memory:' }).open()
    await database.run(`CREATE TABLE probe (id integer); CREATE TABLE t (id integer PRIMARY KEY); CREATE TABLE later (id integer PRIMARY KEY, n integer);
      INSERT INTO later VALUES (1, 0)`)
    await database.setUp('t')
    await using capture = captureChanges({ ...database.place, connection: local, engine, heartbeat: '200ms' })
    await capture.caughtUp()
    await database.setUp('t', 'later')
    await superuser.run(`ALTER SYSTEM SET synchronous_standby_names = 'nobody'`)
    await superuser.run('SELECT pg_reload_conf()')
    const isWaiting = async (query: string): Promise<boolean> =>
      (await superuser.run(`SELECT 1 FROM pg_stat_activity WHERE wait_event = 'SyncRep' AND query = $1`, [query]))
        .length > 0
    // The server takes a moment until its commits wait.
    const probe = 'INSERT INTO probe VALUES (1)'
    const probes: Promise<unknown>[] = []
    await until(async () => {
      probes.push(database.run(probe))
      await sleep(100, systemClock)
      return isWaiting(probe)
    })
    const statement = 'UPDATE later SET n = 1'
    const update = database.run(statement)
    await until(() => isWaiting(statement))
    await until(async () => (await folded(engine, 'waiting.later')).size > 0)
    // Each of these commits ends with a try to read the snapshot, which has to wait.
    for (let turn = 0; turn < 10; turn++)
      await database.run('SET synchronous_commit = local; INSERT INTO t SELECT coalesce(max(id), 0) + 1 FROM t')
    await until(async () => (await folded(engine, 'waiting.t')).size === 10)
    await superuser.run('ALTER SYSTEM RESET synchronous_standby_names')
    await superuser.run('SELECT pg_reload_conf()')
    await Promise.all([update, ...probes])
    await capture.caughtUp()
    expect(await folded(engine, 'waiting.later')).toEqual(await database.contents('later'))
  })
})
