import { type ChildProcess, spawn } from 'node:child_process'
import { expect } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { numbersByKey } from './app.test-support.ts'
import { crashApp, perKey, type ServerAddresses } from './fixtures/crash-handlers.ts'

/** What the processes of an app work on. */
export interface WorkerGround {
  /** One of `crashGrounds`. */
  readonly ground: string
  /** Begin of all names of the case. */
  readonly name: string
  readonly servers: ServerAddresses
}

/** One process of the app, which publishes and handles until it is killed; a new one takes its place. */
export class Worker {
  /** How many messages it was told are there for good. */
  acknowledged = 0
  /** Why it ended by itself. */
  readonly faults: string[] = []
  readonly #ground: WorkerGround
  #child: ChildProcess | undefined
  #isKilled = false

  constructor(ground: WorkerGround) {
    this.#ground = ground
  }

  /** Resolves when it runs. @param run As `crashApp` takes it. */
  async start(run: number): Promise<void> {
    const program = new URL('./fixtures/crash-app.ts', import.meta.url).pathname
    const { ground, name, servers } = this.#ground
    const child = spawn(process.execPath, [program, name, String(run), ground], {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...servers },
    })
    this.#child = child
    this.#isKilled = false
    const ready = Promise.withResolvers<void>()
    let rest = ''
    child.stdout.setEncoding('utf8').on('data', (text: string) => {
      const lines = (rest + text).split('\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        if (line === 'ready') ready.resolve()
        this.acknowledged += Number(/^published (\d+)$/.exec(line)?.[1] ?? 0)
      }
    })
    let complaint = ''
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaint += text
    })
    child.on('exit', (code, signal) => {
      ready.resolve()
      if (!this.#isKilled) this.faults.push(`ended with ${code ?? signal}: ${complaint}`)
    })
    await ready.promise
  }

  signal(signal: 'SIGSTOP' | 'SIGCONT'): void {
    this.#child?.kill(signal)
  }

  async kill(): Promise<void> {
    const child = this.#child
    if (child === undefined || child.exitCode !== null || child.signalCode !== null) return
    const exited = new Promise((resolve) => child.once('exit', resolve))
    this.#isKilled = true
    child.kill('SIGKILL')
    await exited
  }
}

/**
 * Lets one process do what is left, and looks whether each message had its effects once and in the order of its key, and
 * whether all is there that workers were told to be there.
 *
 * @param hopelessCount Dead letters that no redrive brings to life; they are discarded then.
 */
export async function expectExactLedger(
  engine: Engine,
  workers: readonly Worker[],
  hopelessCount: number,
  context: string,
): Promise<void> {
  expect(
    workers.flatMap(({ faults }) => faults),
    context,
  ).toEqual([])
  await using running = await crashApp(0).start({ engine, sessionTimeout: '2s' })
  await running.idle()
  await running.deadLetters.redrive('all')
  await running.idle()
  expect(await running.deadLetters.count(), context).toBe(hopelessCount)
  await running.deadLetters.discard('all')
  await running.idle()
  const placed = Object.values(await numbersByKey(engine, 'orders')).flat().length
  const acknowledged = workers.reduce((sum, worker) => sum + worker.acknowledged, 0)
  expect(acknowledged, context).toBeGreaterThan(0)
  expect(placed, context).toBeGreaterThanOrEqual(acknowledged)
  for (const topic of ['payments', 'shipments']) {
    const byKey = await numbersByKey(engine, topic)
    // The counts that were published have no gap and no double.
    for (const numbers of Object.values(byKey)) expect(numbers, context).toEqual(numbers.map((_, index) => index))
    expect(Object.values(byKey).flat(), `${topic}, ${context}`).toHaveLength(placed)
  }
  let viewed = 0
  for await (const { value } of running.view(perKey).list()) viewed += value
  expect(viewed, context).toBe(placed)
}
