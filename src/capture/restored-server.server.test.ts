import { execFileSync } from 'node:child_process'
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { type PostgresConnection, type RunningServer, startServer, stopServer } from '../../scripts/servers/index.ts'
import { embedded } from '../embedded/index.ts'
import { CapturedDatabase, folded, serversWanted, until } from './captured-database.test-support.ts'
import { captureChanges } from './index.ts'

/** Lets the server recover as one that is promoted does: its log goes on in another timeline. */
function promoteAtNextStart(data: string): void {
  writeFileSync(join(data, 'recovery.signal'), '')
  // The server runs as another user, who has to be able to sync it.
  chmodSync(join(data, 'recovery.signal'), 0o666)
}

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('a server that comes back as it was before', { timeout: 120_000 }, () => {
  const place = { portBase: Number(process.env['MILLRACE_SERVERS_PORT_BASE'] ?? 19_000) + 4720 }
  afterAll(() => stopServer('postgres', { ...place, deleteData: true }))

  it('goes on where its log does, and is refused where the log went another way', async () => {
    const restart = async (server: RunningServer<PostgresConnection>, change: () => void): Promise<void> => {
      await server.nodes[0]?.stop()
      change()
      await startServer('postgres', place)
      // It answers before it has recovered.
      const isRecovering = async (): Promise<unknown> =>
        (await superuser.run('SELECT pg_is_in_recovery() AS still'))[0]?.['still']
      await until(async () => (await isRecovering()) === false)
    }
    const server = await startServer('postgres', place)
    await using superuser = await CapturedDatabase.open('superuser', server.connection.superuserUrl)
    await superuser.run(`ALTER SYSTEM SET restore_command = 'false'`)
    const [setting] = await superuser.run('SHOW data_directory')
    const data = String(setting?.['data_directory'])
    const copy = `${data}.copy`
    await using database = await CapturedDatabase.open('restored', server.connection.url)
    await using engine = await embedded({ path: ':memory:' }).open()
    const capturing = () => captureChanges({ ...database.place, engine })
    const capture = async (): Promise<void> => {
      await using running = capturing()
      await running.caughtUp()
    }
    await database.run('CREATE TABLE t (id integer PRIMARY KEY)')
    await database.setUp('t')
    await database.run('INSERT INTO t VALUES (1)')
    await capture()

    await restart(server, () => promoteAtNextStart(data))
    await database.run('INSERT INTO t VALUES (2)')
    await capture()
    expect(await folded(engine, 'restored.t')).toEqual(await database.contents('t'))

    await restart(server, () => execFileSync('cp', ['-a', data, copy]))
    await database.run('INSERT INTO t SELECT generate_series(3, 1000)')
    await capture()
    const restored = (): void => {
      rmSync(data, { recursive: true })
      execFileSync('cp', ['-a', copy, data])
    }
    await restart(server, restored)
    await expect(capturing().finished).rejects.toMatchObject({
      code: 'CAPTURE_LOG_DIVERGED',
      details: { timeline: 2 },
    })

    await restart(server, () => {
      restored()
      promoteAtNextStart(data)
    })
    // The log of the new timeline gets beyond the place, which is not in it.
    await database.run('INSERT INTO t SELECT generate_series(5000, 10000)')
    await expect(capturing().finished).rejects.toMatchObject({
      code: 'CAPTURE_LOG_DIVERGED',
      details: { timeline: 2 },
    })
    rmSync(copy, { recursive: true })
  })
})
