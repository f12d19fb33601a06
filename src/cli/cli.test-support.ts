import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import type { StandardSchemaV1 } from '@standard-schema/spec'
import { afterAll, beforeAll, onTestFinished } from 'vitest'
import { type EmbeddedEngine, embedded } from '../embedded/index.ts'
import type { Engine, RawRecord } from '../engine/index.ts'
import { type Clock, SeededRandom, systemClock } from '../kernel/index.ts'
import { type EventDefinition, event, type Message } from '../message/index.ts'
import type { OutputStream } from './environment.ts'
import { main } from './main.ts'

/** A folder that goes with the test. */
export function testFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return folder
}

/** A stream that keeps what is written to it. */
export class Capture extends PassThrough {
  readonly isTTY: boolean
  readonly columns: number
  text = ''

  constructor(isTTY = false, columns = 80) {
    super()
    this.isTTY = isTTY
    this.columns = columns
    this.on('data', (chunk: Buffer) => {
      this.text += chunk.toString('utf8')
    })
  }
}

/** What a run of the command line takes and what the test gives. */
export interface CliOptions {
  readonly cwd: string
  readonly stdin?: string | readonly Uint8Array[] | NodeJS.ReadableStream
  readonly env?: Readonly<Record<string, string>>
  readonly clock?: Clock
  readonly signal?: AbortSignal
  readonly stdout?: OutputStream & { readonly text: string }
  readonly stderr?: OutputStream & { readonly text: string }
}

/** How a run ended. */
export interface CliResult {
  readonly exitCode: number
  readonly stdout: string
  readonly stderr: string
}

/** Runs the command line in this process. */
export async function cli(args: readonly string[], options: CliOptions): Promise<CliResult> {
  const stdout = options.stdout ?? new Capture()
  const stderr = options.stderr ?? new Capture()
  const exitCode = await main(args, {
    stdin: inputOf(options.stdin ?? ''),
    stdout,
    stderr,
    env: options.env ?? {},
    cwd: options.cwd,
    clock: options.clock ?? systemClock,
    random: new SeededRandom(7),
    signal: options.signal ?? new AbortController().signal,
  })
  return { exitCode, stdout: stdout.text, stderr: stderr.text }
}

function inputOf(given: NonNullable<CliOptions['stdin']>): NodeJS.ReadableStream {
  if (typeof given !== 'string' && 'pipe' in given) return given
  const stream = new PassThrough()
  for (const chunk of typeof given === 'string' ? [given] : given) stream.write(chunk)
  stream.end()
  return stream
}

/** Someone at a terminal who types this. */
export function typed(text: string): PassThrough & { readonly isTTY: boolean } {
  const stream = new PassThrough()
  stream.write(text)
  return Object.assign(stream, { isTTY: true })
}

/** A file that was filled and closed. */
export async function testFile(
  fill: (engine: EmbeddedEngine) => Promise<unknown> = () => Promise.resolve(),
  folder: string = testFolder(),
): Promise<{ readonly cwd: string; readonly path: string }> {
  const path = join(folder, 'test.db')
  await using engine = await embedded({ path, maintenanceIntervalMs: 0 }).open()
  await fill(engine)
  return { cwd: folder, path }
}

/** A file that several tests read and none writes; it goes with the last of them. */
export function sharedFile(
  fill: (engine: EmbeddedEngine) => Promise<unknown>,
): () => { readonly cwd: string; readonly path: string } {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-cli-'))
  const path = join(folder, 'test.db')
  beforeAll(async () => {
    await using engine = await embedded({ path, maintenanceIntervalMs: 0 }).open()
    await fill(engine)
  })
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  return () => ({ cwd: folder, path })
}

/** What orders in tests carry. */
export interface OrderData {
  readonly id: string
  readonly amount?: number
}

/** Takes any data: what is tested here is not the schema. */
const anything: StandardSchemaV1<OrderData, OrderData> = {
  '~standard': { version: 1, vendor: 'test', validate: (value) => ({ value: value as OrderData }) },
}
const options = { topic: 'orders', data: anything, key: (data: OrderData) => data.id }

export const OrderPlaced: EventDefinition<'OrderPlaced', OrderData, OrderData> = event('OrderPlaced', options)
export const OrderPaid: EventDefinition<'OrderPaid', OrderData, OrderData> = event('OrderPaid', options)

/** Orders with ids from 1, one commit each, so that each has its own time. */
export async function publishOrders(engine: Engine, count: number, first = 1): Promise<readonly Message[]> {
  const messages = Array.from({ length: count }, (_, index) => OrderPlaced({ id: String(first + index) }))
  for (const message of messages) await engine.commit({ publish: [{ topic: 'orders', messages: [message] }] })
  return messages
}

export async function publishRaw(engine: Engine, topic: string, records: readonly RawRecord[]): Promise<void> {
  await engine.commit({ publish: [{ topic, partition: 0, records }] })
}

/** What `--json` printed for a stream of things. */
export function jsonLines(text: string): unknown[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as unknown)
}
