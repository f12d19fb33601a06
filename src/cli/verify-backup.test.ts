import { existsSync, readFileSync, statSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { Capture, cli, OrderPlaced, publishOrders, sharedFile, testFile } from './cli.test-support.ts'
import { InterruptedError } from './errors.ts'

async function fill(engine: Engine): Promise<void> {
  await engine.topics.create('orders', { partitions: 2 })
  await publishOrders(engine, 20)
  await engine.commit({ append: [{ stream: 's', events: [{ message: OrderPlaced({ id: 'e1' }) }] }] })
}

/** Changes a byte inside the only record that holds this text. */
function damage(path: string, text: string): void {
  const bytes = readFileSync(path)
  const at = bytes.indexOf(text)
  expect(at).toBeGreaterThan(0)
  bytes[at + 2] = (bytes[at + 2] as number) ^ 0x01
  writeFileSync(path, bytes)
}

describe('millrace verify', () => {
  const shared = sharedFile(fill)

  it('finds nothing in a sound file', async () => {
    const { cwd, path } = shared()
    const { exitCode, stdout, stderr } = await cli(['verify', '--file', path], { cwd })
    expect([exitCode, stdout]).toEqual([0, ''])
    expect(stderr).toBe('Read 20 records in 20 batches and 1 event of streams: no damage.\n')
    const json = await cli(['verify', '--json', '--file', path], { cwd })
    expect([json.stderr, JSON.parse(json.stdout)]).toEqual([
      '',
      expect.objectContaining({ ok: true, recordCount: 20, damages: [] }),
    ])
  })

  it('draws a bar where a terminal is, and takes it away', async () => {
    const { cwd, path } = shared()
    const stderr = new Capture(true)
    await cli(['verify', '--file', path], { cwd, stderr })
    expect(stderr.text).toContain('verifying ██████████████████████████████ 100 %  21/21')
    expect(stderr.text).toContain('\r\u001b[2KRead 20 records')
  })

  it('names the damaged place and exits with 4', async () => {
    const { cwd, path } = await testFile(fill)
    damage(path, '"id":"17"')
    const { exitCode, stdout, stderr } = await cli(['verify', '--file', path], { cwd })
    expect(exitCode).toBe(4)
    expect(stdout).toMatch(/^(topic orders, partition \d, offset \d+: .+\n)+$/)
    expect(stderr).toMatch(/20 batches and 1 event of streams: \d damaged places?\.$/m)
    const json = await cli(['verify', '--json', '--file', path], { cwd })
    expect([json.exitCode, JSON.parse(json.stdout)]).toEqual([
      4,
      expect.objectContaining({ ok: false, isCutShort: false }),
    ])
    const tail = await cli(['tail', 'orders', '--from', 'earliest', '--file', path], { cwd })
    expect([tail.exitCode, tail.stderr]).toEqual([4, expect.stringMatching(/^error \w+_DAMAGED: /)])
  })

  it.each<[string, (path: string) => void]>([
    ['is something else', (path) => writeFileSync(path, 'this is a text and no database'.repeat(40))],
    ['is cut off', (path) => truncateSync(path, 20_000)],
    [
      'is overwritten in the middle',
      (path) => {
        const bytes = readFileSync(path)
        bytes.fill(0x5a, 9_000, 40_000)
        writeFileSync(path, bytes)
      },
    ],
  ])('exits with 4 where the file %s', async (_, spoil) => {
    const { cwd, path } = await testFile(fill)
    spoil(path)
    const { exitCode, stdout, stderr } = await cli(['verify', '--file', path], { cwd })
    expect([exitCode, stdout + stderr]).toEqual([4, expect.stringMatching(/damage|no Millrace file|malformed/i)])
    expect((await cli(['topics', 'ls', '--file', path], { cwd })).exitCode).toBe(4)
  })
})

describe('a file that is cut off', () => {
  it.each([100, 4_096, 20_000])(
    'at %i bytes is told to be so, with what can be done and what is lost',
    async (bytes) => {
      const { cwd, path } = await testFile(fill)
      const size = statSync(path).size
      truncateSync(path, bytes)
      for (const command of [['verify'], ['topics', 'ls'], ['tail', 'orders']]) {
        const { exitCode, stderr } = await cli([...command, '--file', path], { cwd })
        expect([exitCode, stderr]).toEqual([
          4,
          `error FILE_DAMAGED: ${path} is damaged: it is cut off, ${bytes} of ${size} bytes are there.
Nothing was changed, and Millrace can read nothing of it. Restore a backup: what was written after it is lost, except for rows that "sqlite3 ${path} .recover" may still find, so keep the file.
`,
        ])
      }
    },
  )
})

describe('millrace backup', () => {
  it('copies a file while an engine writes it', async () => {
    const { cwd, path } = await testFile(fill)
    await using engine = await embedded({ path }).open()
    await publishOrders(engine, 5, 100)
    const { exitCode, stdout } = await cli(['backup', 'copy.db', '--json', '--file', path], { cwd })
    expect([exitCode, JSON.parse(stdout)]).toEqual([0, { path: join(cwd, 'copy.db'), bytes: expect.any(Number) }])
    await publishOrders(engine, 1, 200)
    const verified = await cli(['verify', '--file', 'copy.db'], { cwd })
    expect(verified).toMatchObject({ exitCode: 0, stderr: expect.stringContaining('Read 25 records') })
  })

  it('writes over nothing and leaves nothing half done', async () => {
    const { cwd, path } = await testFile(fill)
    writeFileSync(join(cwd, 'there.db'), 'mine')
    const there = await cli(['backup', 'there.db', '--file', path], { cwd })
    expect([there.exitCode, there.stderr]).toEqual([6, expect.stringContaining('error CLI_TARGET_EXISTS')])
    expect(readFileSync(join(cwd, 'there.db'), 'utf8')).toBe('mine')
    const nowhere = await cli(['backup', 'no/such/folder.db', '--file', path], { cwd })
    expect([nowhere.exitCode, nowhere.stderr]).toEqual([3, expect.stringContaining('There is no folder')])
    const stopped = new AbortController()
    stopped.abort(new InterruptedError('SIGINT'))
    const { exitCode } = await cli(['backup', 'copy.db', '--file', path], { cwd, signal: stopped.signal })
    expect([exitCode, existsSync(join(cwd, 'copy.db')), existsSync(join(cwd, 'copy.db.partial'))]).toEqual([
      130,
      false,
      false,
    ])
  })
})
