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
  'bank.js': `
import { app, command, decider, event, service, view } from '${sourceUrl('index.ts')}'
const data = { '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value }) } }
const Opened = event('Opened', { data, key: (account) => account.id })
const Open = command('Open', { data, key: (account) => account.id })
const account = decider('account', { stream: ({ data }) => data.id, commands: [Open], events: [Opened], initialState: 0,
  decide: { Open: ({ data }) => Opened(data) }, evolve: { Opened: (n) => n + 1 } })
const count = view('count', { events: [Opened], key: () => 'all', initial: 0, on: { Opened: (n) => n + 1 }, inline: true })
export default app('bank', { services: [service('accounts', [account])], views: [count] })
`,
  'kafka.js': `import { kafka } from '${sourceUrl('kafka/index.ts')}'
export default kafka({ brokers: ['localhost:9092'], state: { folder: 'copies' } })
`,
  'kept.js': `import { kafka } from '${sourceUrl('kafka/index.ts')}'
import { embedded } from '${sourceUrl('embedded/index.ts')}'
import { deployment } from '${sourceUrl('index.ts')}'
export default deployment({ topics: embedded({ path: 't.db' }), store: kafka({ brokers: ['localhost:9092'], state: { folder: 'copies' } }) })
`,
  'typo.js': 'export const engine = {\n  name: 1,,\n}\n',
  'typo.ts': 'export const engine = {\n  name: 1,,\n}\n',
  'broken.js': 'throw new Error("no password.")',
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

  it('exits with 7 where a handler requires more, also as JSON', async () => {
    const { exitCode, stdout } = await run(['explain', 'app.js', '--deployment', 'weak.js', '--json'])
    expect(exitCode).toBe(7)
    expect(JSON.parse(stdout)).toMatchObject({
      refusals: [{ code: 'GUARANTEE_MISSING' }],
      handlers: [{ requires: 'exactly-once', publications: 'at-least-once', refusedBy: 'GUARANTEE_MISSING' }],
    })
  })

  it('says why an app will not start, exits with 7, and claims nothing of what cannot run', async () => {
    const { exitCode, stdout } = await run(['explain', 'bank.js', '--deployment', 'kafka.js'])
    expect(exitCode).toBe(7)
    expect(stdout).toContain('will not start: accounts.account, view count cannot run on kafka')
    expect(stdout).toContain('reads      Opened from the event store (kafka)')
    expect(stdout).not.toMatch(/exactly once/)
    const { exitCode: onFile, stdout: told } = await run(['explain', 'bank.js'])
    expect([onFile, told.includes('will not start')]).toEqual([0, false])
  })

  it.each([
    ['missing.js', 3, /CLI_NOT_FOUND/],
    ['app.js', 1, /none of its exports is an engine/],
    ['broken.js', 1, /it threw while it was loaded: Error: no password\.\nCorrect/],
    ['typo.js', 1, /a syntax error at \S+typo\.js:2: /],
    ['typo.ts', 1, /a syntax error at \S+typo\.ts:2: /],
    ['kept.js', 1, /loaded: The options of deployment\(\) cannot be used: store \(kafka\) keeps state/],
  ])('says what is wrong with the deployment %s', async (name, code, text) => {
    const { exitCode, stderr } = await run(['explain', 'app.js', '--deployment', name])
    expect(stderr).toMatch(text)
    expect(stderr).not.toContain('..')
    expect(exitCode).toBe(code)
  })

  it('lets dev run on it, and on nothing else besides', async () => {
    const { exitCode, stderr } = await run(['dev', 'app.js', '--once', '--deployment', 'good.js'])
    expect([exitCode, stderr.includes('App shop runs on embedded+embedded.')]).toEqual([0, true])
    const both = await run(['dev', 'app.js', '--deployment', 'good.js', '--file', 'x.db'])
    expect([both.exitCode, both.stderr.includes('leave --data and --file out')]).toEqual([2, true])
  })
})
