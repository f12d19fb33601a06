import { spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { installCommand } from './child-process.test-support.ts'
import { publishOrders, sharedFile, testFolder } from './cli.test-support.ts'

const shared = sharedFile(async (engine) => {
  await engine.topics.create('orders', { partitions: 1 })
  await engine.topics.create('copies', { partitions: 1 })
  await publishOrders(engine, 20)
})

/** Runs a line of shell with `millrace` in its PATH. */
function shell(line: string): { status: number | null; stdout: string; stderr: string } {
  const folder = testFolder()
  mkdirSync(join(folder, 'bin'))
  symlinkSync(installCommand(folder), join(folder, 'bin', 'millrace'))
  symlinkSync(process.execPath, join(folder, 'bin', 'node'))
  const env = { PATH: `${join(folder, 'bin')}:${process.env['PATH']}`, MILLRACE_FILE: shared().path }
  return spawnSync('bash', ['--norc', '--noprofile', '-o', 'pipefail', '-c', line], {
    encoding: 'utf8',
    env,
    cwd: folder,
  })
}

describe('in a shell', { timeout: 60_000 }, () => {
  it('data go through pipes, and nothing else does', () => {
    const { status, stdout, stderr } = shell(
      'millrace topics ls --json 2>/dev/null | node -p "JSON.parse(require(\'fs\').readFileSync(0)).length"',
    )
    expect([status, stdout, stderr]).toEqual([0, '2\n', ''])
  })

  it('a reader that is gone ends a follower quietly', () => {
    // `true` is over long before the first record is written.
    const { status, stdout, stderr } = shell('millrace tail orders --from earliest --follow --json | true')
    expect([status, stdout, stderr]).toEqual([0, '', ''])
  })

  it('what tail prints can be published again', () => {
    const line =
      "set -e; millrace tail orders --from earliest --json | node -e \"for (const l of require('fs').readFileSync(0, 'utf8').trim().split('\\n')) console.log(JSON.stringify(JSON.parse(l).message))\"" +
      ' | millrace publish copies --envelope 2>/dev/null | wc -l; millrace tail copies --from earliest --type OrderPlaced | wc -l'
    const { status, stdout, stderr } = shell(line)
    expect([status, stdout.split(/\s+/).filter(Boolean), stderr]).toEqual([0, ['20', '20'], ''])
  })
})
