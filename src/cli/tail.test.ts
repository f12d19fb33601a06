import { describe, expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import type { Engine } from '../engine/index.ts'
import { encodeKafkaBinary } from '../message/index.ts'
import {
  Capture,
  cli,
  jsonLines,
  OrderPaid,
  OrderPlaced,
  publishOrders,
  publishRaw,
  sharedFile,
  testFile,
} from './cli.test-support.ts'
import { InterruptedError } from './errors.ts'

interface Line {
  readonly kind: string
  readonly topic: string
  readonly partition: number
  readonly offset: number
  readonly timestamp: string
  readonly key: string | null
  readonly keyBase64?: string
  readonly message: { readonly type: string; readonly data: { readonly id: string } } | null
  readonly error?: { readonly code: string }
  readonly value?: string
}

/** 30 orders over three partitions, whose times are a minute apart. */
const startMs = Date.parse('2026-01-31T12:00:00Z')
async function fill(engine: Engine): Promise<void> {
  await engine.topics.create('orders', { partitions: 3 })
  for (let n = 1; n <= 30; n++) {
    const message = n % 10 === 0 ? OrderPaid({ id: `${n}` }) : OrderPlaced({ id: `${n}` })
    const { key, value, headers } = encodeKafkaBinary(message)
    const record = { key, value, headers, timestampMs: startMs + n * 60_000 }
    await engine.commit({ publish: [{ topic: 'orders', partition: n % 3, records: [record] }] })
  }
}

const ids = (text: string): number[] => (jsonLines(text) as Line[]).map(({ message }) => Number(message?.data.id))
const range = (from: number, to: number): number[] => Array.from({ length: to - from + 1 }, (_, index) => from + index)

describe('millrace tail', () => {
  const shared = sharedFile(fill)
  const tail = async (args: readonly string[]): Promise<number[]> => {
    const { cwd, path } = shared()
    const { exitCode, stdout, stderr } = await cli(['tail', 'orders', '--json', ...args, '--file', path], { cwd })
    const shown = ids(stdout)
    expect([exitCode, stderr]).toEqual([0, shown.length === 0 ? 'There are no such records.\n' : ''])
    return shown
  }

  it('shows the last ten of all partitions in the order of their times', async () => {
    expect(await tail([])).toEqual(range(21, 30))
  })

  it.each<[string, string[], number[]]>([
    ['--last', ['--last', '4'], range(27, 30)],
    ['--last 0', ['--last', '0'], []],
    ['--from earliest', ['--from', 'earliest'], range(1, 30)],
    ['--from latest', ['--from', 'latest'], []],
    ['--limit', ['--from', 'earliest', '--limit', '3'], [1, 2, 3]],
    ['a time', ['--from', '@2026-01-31T12:10:00Z', '--until', '@2026-01-31T12:13:00Z'], [10, 11, 12]],
    ['a time in milliseconds', ['--from', `@${startMs + 29 * 60_000}`], [29, 30]],
    ['a day', ['--from', '@2026-02-01'], []],
    ['an offset in each partition', ['--from', '9'], [28, 29, 30]],
    ['offsets of one partition', ['--partition', '1', '--from', '2', '--until', '4'], [7, 10]],
    ['--until without --from', ['--until', '@2026-01-31T12:05:00Z', '--last', '2'], [3, 4]],
    ['--key', ['--key', '17'], [17]],
    ['--type', ['--type', 'OrderPaid'], [10, 20, 30]],
    ['two types', ['--type', 'OrderPaid', '--type', 'Other', '--last', '2'], [20, 30]],
  ])('%s', async (_, args, expected) => {
    expect(await tail(args)).toEqual(expected)
  })

  it('keeps the order of a partition whose clock went back, beside other topics', async () => {
    const { cwd, path } = await testFile(async (engine) => {
      for (const topic of ['a', 'b']) await engine.topics.create(topic, { partitions: 1 })
      const records = [10, 5, 20].map((time, n) => ({ key: `a${n}`, value: 'x', timestampMs: startMs + time }))
      await publishRaw(engine, 'a', records)
      await publishRaw(engine, 'b', [{ key: 'b0', value: 'x', timestampMs: startMs + 15 }])
    })
    const { stdout } = await cli(['tail', 'a', 'b', '--json', '--file', path], { cwd })
    expect((jsonLines(stdout) as Line[]).map(({ key }) => key)).toEqual(['a0', 'a1', 'b0', 'a2'])
  })

  it('takes times relative to now', async () => {
    const { cwd, path } = await testFile(async (engine) => {
      await engine.topics.create('orders', { partitions: 1 })
      await publishRaw(engine, 'orders', [{ key: 'old', value: 'x', timestampMs: startMs }])
      await publishOrders(engine, 2)
    })
    const { stdout } = await cli(['tail', 'orders', '--from', '@-10m', '--json', '--file', path], { cwd })
    expect((jsonLines(stdout) as Line[]).map(({ key }) => key)).toEqual(['1', '2'])
  })

  it('shows the event that a record without a value is', async () => {
    const { cwd, path } = await testFile(async (engine) => {
      await engine.topics.create('raw', { partitions: 1 })
      const headers = Object.entries({ ce_specversion: '1.0', ce_type: 'Left', ce_source: '/s', ce_id: '1' })
      await publishRaw(engine, 'raw', [
        { key: 'a', value: null, timestampMs: startMs },
        { key: 'a', value: null, headers, timestampMs: startMs },
      ])
    })
    const { stdout } = await cli(['tail', 'raw', '--type', 'Left', '--file', path], { cwd })
    expect(stdout).toBe('2026-01-31T12:00:00.000Z raw/0/1 key=a tombstone Left\n')
    const { stdout: json } = await cli(['tail', 'raw', '--type', 'Left', '--json', '--file', path], { cwd })
    expect(jsonLines(json)).toEqual([
      expect.objectContaining({ kind: 'tombstone', message: expect.objectContaining({ type: 'Left', id: '1' }) }),
    ])
  })

  it('shows tombstones and records that are no messages as what they are, and nothing can move the cursor', async () => {
    const { cwd, path } = await testFile(async (engine) => {
      await engine.topics.create('raw', { partitions: 1 })
      await publishRaw(engine, 'raw', [
        { key: 'gone', value: null, timestampMs: startMs },
        { key: 'a\u001b[2J', value: 'not a message\u001b[31m\n', timestampMs: startMs },
        { key: Buffer.from([0xff, 0x00]), value: Buffer.from([0xfe]), timestampMs: startMs },
      ])
    })
    const { stdout } = await cli(['tail', 'raw', '--file', path], { cwd })
    expect(stdout.split('\n')).toEqual([
      '2026-01-31T12:00:00.000Z raw/0/0 key=gone tombstone',
      '2026-01-31T12:00:00.000Z raw/0/1 key=a\\u001b[2J undecodable: This is no CloudEvents message: specversion is missing. not a message\\u001b[31m\\n',
      '2026-01-31T12:00:00.000Z raw/0/2 key=base64:/wA= undecodable: This is no CloudEvents message: specversion is missing. base64:/g==',
      '',
    ])
    const { stdout: json } = await cli(['tail', 'raw', '--json', '--file', path], { cwd })
    expect(jsonLines(json)).toEqual([
      {
        kind: 'tombstone',
        topic: 'raw',
        partition: 0,
        offset: 0,
        timestamp: '2026-01-31T12:00:00.000Z',
        key: 'gone',
        message: null,
        headers: [],
      },
      expect.objectContaining({
        kind: 'undecodable',
        message: null,
        value: 'not a message\u001b[31m\n',
        error: expect.objectContaining({ code: 'MESSAGE_UNDECODABLE' }),
      }),
      expect.objectContaining({ key: null, keyBase64: '/wA=', valueBase64: '/g==' }),
    ])
  })

  it('follows what a running engine commits, also to partitions of several topics, until Ctrl-C', async () => {
    const { cwd, path } = await testFile(async (engine) => {
      await engine.topics.create('orders', { partitions: 3 })
      await engine.topics.create('raw', { partitions: 1 })
      await publishOrders(engine, 3)
    })
    await using engine = await embedded({ path }).open()
    const stop = new AbortController()
    const stdout = new Capture()
    const args = ['tail', 'orders', 'raw', '--follow', '--last', '1', '--json', '--file', path]
    const running = cli(args, { cwd, stdout, signal: stop.signal })
    const lines = async (count: number): Promise<Line[]> => {
      while (jsonLines(stdout.text).length < count) await new Promise((resolve) => setTimeout(resolve, 10))
      return jsonLines(stdout.text) as Line[]
    }
    expect((await lines(1)).map(({ key }) => key)).toEqual(['3'])
    await publishOrders(engine, 4, 4)
    await publishRaw(engine, 'raw', [{ key: 'r', value: null }])
    expect(new Set((await lines(6)).map(({ key }) => key))).toEqual(new Set(['3', '4', '5', '6', '7', 'r']))
    stop.abort(new InterruptedError('SIGINT'))
    expect(await running).toMatchObject({ exitCode: 130, stderr: '' })
  })

  it('ends a follower at its limit', async () => {
    const { cwd, path } = await testFile(fill)
    await using engine = await embedded({ path }).open()
    const running = cli(['tail', 'orders', '-f', '--from', 'latest', '--limit', '2', '--file', path], { cwd })
    // The follower may look before or after each of these; it must see two of them.
    let isOver = false
    const over = running.finally(() => {
      isOver = true
    })
    for (let n = 100; !isOver; n++) {
      await publishOrders(engine, 1, n)
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    const { exitCode, stdout } = await over
    expect([exitCode, stdout.trim().split('\n').length]).toEqual([0, 2])
  })

  it.each<[string[], number, string]>([
    [['nope'], 3, 'TOPIC_UNKNOWN'],
    [['orders', '--partition', '3'], 3, 'PARTITION_UNKNOWN'],
    [['orders', '--partition', '0', '--from', '99'], 3, 'OFFSET_OUT_OF_RANGE'],
    [['orders', '--from', 'yesterday'], 2, "Give 'earliest', 'latest'"],
    [['orders', '--from', '@2026-02-30'], 2, "Give 'earliest', 'latest'"],
    [['orders', '--from', '@-1 hour'], 2, "Give 'earliest', 'latest'"],
    [['orders', '--from', '1', '--last', '2'], 2, 'exclude each other'],
    [['orders', '--follow', '--until', '2'], 2, 'exclude each other'],
    [[], 2, "missing required argument 'topics'"],
  ])('refuses %j', async (args, code, reason) => {
    const { cwd, path } = shared()
    const { exitCode, stdout, stderr } = await cli(['tail', ...args, '--file', path], { cwd })
    expect(stderr.toLowerCase()).toContain(reason.toLowerCase())
    expect([exitCode, stdout]).toEqual([code, ''])
  })
})
