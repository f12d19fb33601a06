import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CommandProcess, installCommand, sourceUrl } from './child-process.test-support.ts'
import { testFolder } from './cli.test-support.ts'

const appSource = `
import { app, event, on, service } from '${sourceUrl('index.ts')}'
const data = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }
const Placed = event('Placed', { topic: 'orders', data, key: (order) => order.id })
export default app('shop', { services: [service('payment', [on(Placed, { requires: 'exactly-once' }, () => undefined)])] })
`
const ground = (capabilities: string): string => `
import { embedded } from '${sourceUrl('embedded/index.ts')}'
import { deployment } from '${sourceUrl('index.ts')}'
const topics = embedded({ path: 'topics.db' })
export const engine = deployment({ topics: { ...topics, capabilities: { ...topics.capabilities, ${capabilities} } }, store: embedded({ path: 'store.db' }) })
`

const files: Readonly<Record<string, string>> = {
  'app.js': appSource,
  'good.js': ground(''),
  'weak.js': ground("atomic: [['topics'], ['progress']]"),
  'broken.js': 'throw new Error("no password")',
  'package.json': '{ "type": "module" }',
}

async function run(args: readonly string[]): Promise<{ exitCode: number | null; stdout: string; stderr: string }> {
  const cwd = testFolder()
  for (const [name, text] of Object.entries(files)) writeFileSync(join(cwd, name), text)
  const command = new CommandProcess(installCommand(cwd), args, cwd)
  const exitCode = await command.exitCode()
  return { exitCode, stdout: command.stdout, stderr: command.stderr }
}

describe('millrace explain', { timeout: 60_000 }, () => {
  it('tells what a deployment gives, and asks no server for it', async () => {
    const { exitCode, stdout } = await run(['explain', 'app.js', '--deployment', 'good.js'])
    expect(exitCode).toBe(0)
    expect(stdout).toContain('shop on embedded+embedded')
    expect(stdout).toContain('requires   exactly once')
    expect(stdout).not.toContain('warning')
  })

  it('exits with 6 where a handler requires more, also as JSON', async () => {
    const { exitCode, stdout } = await run(['explain', 'app.js', '--deployment', 'weak.js', '--json'])
    expect(exitCode).toBe(6)
    expect(JSON.parse(stdout)).toMatchObject({
      handlers: [{ requires: 'exactly-once', publications: 'at-least-once' }],
    })
  })

  it.each([
    ['missing.js', 3, 'CLI_NOT_FOUND'],
    ['app.js', 1, 'none of its exports is an engine'],
    ['broken.js', 1, 'no password'],
  ])('says what is wrong with the deployment %s', async (name, code, text) => {
    const { exitCode, stderr } = await run(['explain', 'app.js', '--deployment', name])
    expect([exitCode, stderr.includes(text)]).toEqual([code, true])
  })

  it('lets dev run on it, and on nothing else besides', async () => {
    const { exitCode, stderr } = await run(['dev', 'app.js', '--once', '--deployment', 'good.js'])
    expect([exitCode, stderr.includes('App shop runs on embedded+embedded.')]).toEqual([0, true])
    const both = await run(['dev', 'app.js', '--deployment', 'good.js', '--file', 'x.db'])
    expect([both.exitCode, both.stderr.includes('leave --data and --file out')]).toEqual([2, true])
  })
})
