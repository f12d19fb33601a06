import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { describe, expect, it } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { Capture, cli, jsonLines, sharedFile, testFile } from './cli.test-support.ts'
import { InterruptedError } from './errors.ts'

async function fill(engine: Engine): Promise<void> {
  await engine.topics.create('orders', { partitions: 2, recordBytesMax: 4096 })
  await engine.topics.create('prices', { partitions: 1, cleanup: 'compact' })
}
const withTopics = () => testFile(fill)

interface Tailed {
  readonly kind: string
  readonly partition: number
  readonly offset: number
  readonly key: string | null
  readonly message: Readonly<Record<string, unknown>> | null
  readonly value?: string
  readonly headers?: unknown
}

async function recordsOf(cwd: string, path: string, topic: string): Promise<readonly Tailed[]> {
  const { stdout } = await cli(['tail', topic, '--from', 'earliest', '--json', '--file', path], { cwd })
  return jsonLines(stdout) as Tailed[]
}

const orderLines = (from: number, to: number): string =>
  Array.from({ length: to - from + 1 }, (_, index) => `{"id":"${from + index}"}\n`).join('')

describe('millrace publish', () => {
  const shared = sharedFile(fill)

  it('publishes the argument as the data of one message', async () => {
    const { cwd, path } = await withTopics()
    const data = '{"id":"7","customer":{"id":17}}'
    const options = ['--type', 'OrderPlaced', '--key-field', 'customer.id', '--subject', 'order 7', '--source', '/shop']
    const headers = ['--header', 'tenant=acme', '--header', 'correlationid=c1', '--data-version', '3']
    const args = ['publish', 'orders', data, ...options, ...headers, '--partition', '1', '--file', path]
    const { exitCode, stdout, stderr } = await cli(args, { cwd })
    expect([exitCode, stderr]).toEqual([0, 'Published 1 message to orders.\n'])
    expect(stdout).toMatch(/^orders\/1\/0 {2}[0-9a-f-]{36}\n$/)
    expect(await recordsOf(cwd, path, 'orders')).toEqual([
      expect.objectContaining({
        partition: 1,
        key: '17',
        message: expect.objectContaining({
          type: 'OrderPlaced',
          source: '/shop',
          subject: 'order 7',
          partitionkey: '17',
          dataversion: 3,
          tenant: 'acme',
          correlationid: 'c1',
          data: { id: '7', customer: { id: 17 } },
        }),
      }),
    ])
  })

  it('publishes lines of stdin, without empty ones, and prints their places', async () => {
    const { cwd, path } = await withTopics()
    const args = ['publish', 'orders', '--type', 'OrderPlaced', '--key-field', 'id', '--json', '--file', path]
    const { exitCode, stdout } = await cli(args, { cwd, stdin: '\uFEFF{"id":"1"}\r\n\n  \n{"id":"2"}' })
    expect(exitCode).toBe(0)
    const places = jsonLines(stdout) as { topic: string; partition: number; offset: number; id: string }[]
    const found = await recordsOf(cwd, path, 'orders')
    expect(places).toHaveLength(2)
    for (const { partition, offset, id } of places) {
      expect(found.find((one) => one.partition === partition && one.offset === offset)?.message?.['id']).toBe(id)
    }
    expect(new Set(found.map(({ key }) => key))).toEqual(new Set(['1', '2']))
  })

  it('publishes nothing of a small input with a bad line, and names the line', async () => {
    const { cwd, path } = await withTopics()
    const input = join(cwd, 'in.jsonl')
    writeFileSync(input, `${orderLines(1, 9)}{"id": }\n${orderLines(11, 12)}`)
    const args = ['publish', 'orders', '--type', 'OrderPlaced', '--input', 'in.jsonl', '--file', path]
    const { exitCode, stdout, stderr } = await cli([...args, '--json'], { cwd })
    expect([exitCode, stdout]).toEqual([2, ''])
    const { error } = JSON.parse(stderr) as { error: Record<string, unknown> }
    expect(error).toMatchObject({ code: 'CLI_INPUT_INVALID', details: { line: 10, publishedCount: 0 } })
    expect(error['problem']).toContain('line 10 is not JSON')
    expect(await recordsOf(cwd, path, 'orders')).toEqual([])
  })

  it('says what of a large input was published before a bad line', async () => {
    const { cwd, path } = await withTopics()
    const stdin = `${orderLines(1, 2500)}nonsense\n${orderLines(2502, 2600)}`
    const args = ['publish', 'orders', '--type', 'OrderPlaced', '--key-field', 'id', '--file', path]
    const { exitCode, stdout, stderr } = await cli(args, { cwd, stdin })
    expect(exitCode).toBe(2)
    expect(stderr).toContain('line 2501 is not JSON')
    expect(stderr).toContain('Lines 1 to 2000 are published (2000 messages); from line 2001 on nothing is.')
    expect(stdout.split('\n')).toHaveLength(2001)
    const found = await recordsOf(cwd, path, 'orders')
    expect(found.map(({ key }) => Number(key)).sort((a, b) => a - b)).toEqual(
      Array.from({ length: 2000 }, (_, index) => index + 1),
    )
  })

  it.each([
    ['{"__proto__":{}}', 'has a name that could reach into prototypes'],
    ['[1,', 'is not JSON'],
    [`{"id":"1","text":"${'x'.repeat(5000)}"}`, 'and the topic takes 4096'],
    ['{"other":1}', 'holds no text or number at id for the key'],
    ['{"id":"a\\u0007"}', 'has a key that contains a control character'],
  ])('refuses the line %#', async (line, reason) => {
    const { cwd, path } = shared()
    const args = ['publish', 'orders', '--type', 'T', '--key-field', 'id', '--file', path]
    const { exitCode, stderr } = await cli(args, { cwd, stdin: `{"id":"1"}\n${line}\n` })
    expect(exitCode).toBe(2)
    expect(stderr).toContain('line 2 ')
    expect(stderr).toContain(reason)
    expect(await recordsOf(cwd, path, 'orders')).toEqual([])
  })

  it('refuses bytes that are no UTF-8', async () => {
    const { cwd, path } = await withTopics()
    const stdin = [Buffer.from('{"id":"1"}\n"'), Buffer.from([0xc3, 0x28]), Buffer.from('"\n')]
    const { exitCode, stderr } = await cli(['publish', 'orders', '--type', 'T', '--file', path], { cwd, stdin })
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('line 2 is not valid UTF-8')])
  })

  it('publishes CloudEvents as tail prints them', async () => {
    const { cwd, path } = await withTopics()
    const publish = ['publish', 'orders', '--file', path]
    await cli([...publish, '--type', 'A', '--key', 'k', '{"n":1}', '--header', 'tenant=acme'], { cwd })
    const [original] = await recordsOf(cwd, path, 'orders')
    const copied = await cli([...publish, '--envelope'], { cwd, stdin: JSON.stringify(original?.message) })
    expect(copied.exitCode).toBe(0)
    const copies = await recordsOf(cwd, path, 'orders')
    expect(copies.map(({ message }) => message)).toEqual([original?.message, original?.message])
    const bad = await cli([...publish, '--envelope'], { cwd, stdin: '{"specversion":"1.0","id":"1"}\n' })
    expect([bad.exitCode, bad.stderr]).toEqual([
      2,
      expect.stringContaining('line 1 is no CloudEvents message: type is missing'),
    ])
  })

  it('publishes raw records and tombstones', async () => {
    const { cwd, path } = await withTopics()
    const publish = ['publish', 'prices', '--raw', '--file', path]
    const stdin = [Buffer.from('apple=1=1\npear='), Buffer.from([0xff, 0xfe]), Buffer.from('\r\n')]
    expect((await cli([...publish, '--separator', '=', '--header', 'unit=kg'], { cwd, stdin })).exitCode).toBe(0)
    expect((await cli([...publish, '--key', 'apple', '--tombstone'], { cwd })).exitCode).toBe(0)
    const found = await recordsOf(cwd, path, 'prices')
    expect(found).toEqual([
      expect.objectContaining({
        kind: 'undecodable',
        key: 'apple',
        value: '1=1',
        headers: [{ name: 'unit', value: 'kg' }],
      }),
      expect.objectContaining({ kind: 'undecodable', key: 'pear', valueBase64: '//4N' }),
      expect.objectContaining({ kind: 'tombstone', key: 'apple', message: null }),
    ])
    const without = await cli([...publish, 'value without a key'], { cwd })
    expect([without.exitCode, without.stderr]).toEqual([
      2,
      expect.stringContaining('has no key, which a compacted topic needs'),
    ])
    const unparted = await cli([...publish, '--separator', '='], { cwd, stdin: 'no separator here' })
    expect([unparted.exitCode, unparted.stderr]).toEqual([2, expect.stringContaining('line 1 holds no "="')])
  })

  it('checks everything and publishes nothing in a dry run', async () => {
    const { cwd, path } = await withTopics()
    const args = ['publish', 'orders', '--type', 'T', '--dry-run', '--file', path]
    const good = await cli(args, { cwd, stdin: orderLines(1, 1500) })
    expect(good).toEqual({
      exitCode: 0,
      stdout: '',
      stderr: '1500 messages could be published to orders. Nothing was.\n',
    })
    const bad = await cli(args, { cwd, stdin: `${orderLines(1, 1500)}x\n` })
    expect([bad.exitCode, bad.stderr]).toEqual([2, expect.stringContaining('line 1501')])
    expect(bad.stderr).toContain('Nothing was published.')
    expect(await recordsOf(cwd, path, 'orders')).toEqual([])
  })

  it('publishes what came so far when input pauses', async () => {
    const { cwd, path } = await withTopics()
    const stdin = new PassThrough()
    const stdout = new Capture()
    const running = cli(['publish', 'orders', '--type', 'T', '--file', path], { cwd, stdin, stdout })
    stdin.write('{"id":"1"}\n{"id"')
    while (stdout.text === '') await new Promise((resolve) => setImmediate(resolve))
    expect(stdout.text.split('\n')).toHaveLength(2)
    stdin.end(':"2"}\n')
    expect(await running).toMatchObject({ exitCode: 0, stderr: 'Published 2 messages to orders.\n' })
  })

  it('stops at Ctrl-C and says what was published', async () => {
    const { cwd, path } = await withTopics()
    const stdin = new PassThrough()
    const stdout = new Capture()
    const stop = new AbortController()
    const running = cli(['publish', 'orders', '--type', 'T', '--file', path], {
      cwd,
      stdin,
      stdout,
      signal: stop.signal,
    })
    stdin.write('{"id":"1"}\n')
    while (stdout.text === '') await new Promise((resolve) => setImmediate(resolve))
    stop.abort(new InterruptedError('SIGINT'))
    const { exitCode, stderr } = await running
    expect([exitCode, stderr]).toEqual([130, 'Lines 1 to 1 are published (1 message); from line 2 on nothing is.\n'])
  })

  it.each([
    [['nope', '{}', '--type', 'T'], 3, 'TOPIC_UNKNOWN'],
    [['orders', '{}', '--type', 'T', '--partition', '2'], 3, 'PARTITION_UNKNOWN'],
    [['orders', '{}'], 2, '--type is missing'],
    [['orders', '{}', '--type', 'T', '--input', 'x'], 2, 'give one of them'],
    [['orders', '--type', 'T', '--input', 'missing.jsonl'], 3, 'There is no readable input file'],
    [['orders', '{}', '--raw', '--type', 'T'], 2, 'not for --raw'],
    [['orders', '{}', '--envelope', '--type', 'T'], 2, 'each line brings its own type'],
    [['orders', '{}', '--envelope', '--raw'], 2, 'exclude each other'],
    [['orders', '{}', '--type', 'T', '--separator', ':'], 2, 'go with --raw'],
    [['orders', '--raw', '--tombstone'], 2, '--tombstone takes --key'],
    [['orders', '{}', '--type', 'T', '--key', 'a', '--key-field', 'b'], 2, 'The key comes from'],
    [['orders', '{}', '--type', 'T', '--header', 'Tenant=x'], 2, 'lower-case letters and digits'],
    [['orders', '{}', '--type', 'T', '--header', 'id=x'], 2, 'is not set by a header'],
    [['orders', '{}', '--type', 'T', '--header', 'tenant'], 2, 'Give it as name=value.'],
    [['orders', '{}', '--type', 'T', '--source', 'a b'], 2, 'is no URI reference'],
    [['orders', '{}', '--type', ''], 2, 'the message'],
    [['orders', '', '--type', 'T'], 2, 'the data is empty'],
  ])('refuses %j', async (args, code, reason) => {
    const { cwd, path } = shared()
    const { exitCode, stdout, stderr } = await cli(['publish', ...args, '--file', path], { cwd })
    expect(stderr).toContain(reason)
    expect([exitCode, stdout]).toEqual([code, ''])
  })

  it('does not wait for input that nobody means to give', async () => {
    const { cwd, path } = await withTopics()
    const stdin = Object.assign(new PassThrough(), { isTTY: true })
    const { exitCode, stderr } = await cli(['publish', 'orders', '--type', 'T', '--file', path], { cwd, stdin })
    expect([exitCode, stderr]).toEqual([2, expect.stringContaining('No data was given')])
  })
})
