import { type ChildProcess, spawn } from 'node:child_process'
import type { Engine } from '../engine/index.ts'
import type { Message } from '../message/index.ts'
import { messagesOf, numbersByKey, Placed } from './app.test-support.ts'
import { crashApp, keyCount, perKey, type ServerAddresses } from './fixtures/crash-handlers.ts'

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

/** What is left when all that was published is handled. */
export interface Ledger {
  /** Workers that ended by themselves, and why. */
  readonly faults: readonly string[]
  /** Dead letters that no redrive brought to life, and which were discarded then. */
  readonly hopelessCount: number
  /** Messages that a worker was told to be there and that are not. */
  readonly lostCount: number
  /** Keys and the counts published for them, where these are not 0, 1, 2 and so on: something was done twice, or in another order. */
  readonly disorder: readonly string[]
  /** Orders that a handler handled twice, never, or in another order than that of their key, and effects of what is no order. */
  readonly wrongCauses: readonly string[]
  /** Orders that stand in their topic more than once. */
  readonly publishedTwice: readonly string[]
  /** How many messages were published, then how many effects there are: of each handler, and in the view. */
  readonly counts: readonly number[]
}

/** Lets one process do what the workers left, then looks at what there is. */
export async function ledgerOf(engine: Engine, workers: readonly Worker[]): Promise<Ledger> {
  await using running = await crashApp(0, engine).start({ engine, sessionTimeout: '2s' })
  // In Kafka a transaction that a dead process left open hides what is behind it, until its time is over. What is committed here
  // is waited for, and it stands behind all of that.
  const keys = Array.from({ length: keyCount }, (_, n) => `k${n}`)
  await running.publish(keys.map((id) => Placed({ id, n: 0 })))
  await running.idle()
  await running.deadLetters.redrive('all')
  await running.idle()
  const hopelessCount = await running.deadLetters.count()
  await running.deadLetters.discard('all')
  await running.idle()
  const placed = await messagesOf(engine, 'orders')
  const placedCount = placed.length
  const acknowledgedCount = workers.reduce((sum, worker) => sum + worker.acknowledged, keyCount)
  const counts = [placedCount]
  const placesById = placesOf(placed)
  const publishedTwice = [...placesById].flatMap(([id, { length }]) => (length > 1 ? [id] : []))
  const disorder: string[] = []
  const wrongCauses: string[] = []
  for (const topic of ['payments', 'shipments']) {
    const effects = await messagesOf(engine, topic)
    wrongCauses.push(...wrongCausesOf(topic, effects, placesById))
    const byKey = Object.entries(await numbersByKey(engine, topic))
    counts.push(byKey.flatMap(([, numbers]) => numbers).length)
    for (const [key, numbers] of byKey) {
      const at = numbers.findIndex((number, index) => number !== index)
      if (at >= 0) disorder.push(`${topic} ${key} from ${at} on: ${numbers.slice(at, at + 20).join()}`)
    }
  }
  let viewedCount = 0
  for await (const { value } of running.view(perKey).list()) viewedCount += value
  counts.push(viewedCount)
  const lostCount = Math.max(0, acknowledgedCount - placedCount)
  return {
    faults: workers.flatMap(({ faults }) => faults),
    hopelessCount,
    lostCount,
    disorder,
    wrongCauses,
    publishedTwice,
    counts,
  }
}

/** Where messages stand among all, by their ids. */
type Places = ReadonlyMap<string, readonly number[]>

function placesOf(messages: readonly Message[]): Places {
  const placesById = new Map<string, number[]>()
  for (const [place, { id }] of messages.entries()) placesById.set(id, [...(placesById.get(id) ?? []), place])
  return placesById
}

/** How many of them are told: one fault often draws many after it. */
const toldMax = 10

function wrongCausesOf(topic: string, effects: readonly Message[], placesById: Places): readonly string[] {
  const countById = new Map<string, number>()
  const lastByKey = new Map<string, number>()
  const wrong: string[] = []
  for (const { causationid: id = 'nothing', partitionkey: key = '' } of effects) {
    const places = placesById.get(id)
    const count = (countById.get(id) ?? 0) + 1
    const place = places?.[Math.min(count, places.length) - 1]
    countById.set(id, count)
    if (places === undefined || place === undefined) wrong.push(`${topic} of ${id}, which is no order`)
    else if (count > places.length) wrong.push(`${topic} of ${id}, order ${place} (${key}), for the ${count}. time`)
    else if (place < (lastByKey.get(key) ?? -1))
      wrong.push(`${topic} of ${id}, order ${place} (${key}), after a later one`)
    lastByKey.set(key, Math.max(lastByKey.get(key) ?? -1, place ?? -1))
  }
  for (const [id, places] of placesById) {
    if ((countById.get(id) ?? 0) < places.length) wrong.push(`no ${topic} of ${id}, order ${places.join()}`)
  }
  return wrong.length > toldMax ? [...wrong.slice(0, toldMax), `and ${wrong.length - toldMax} more`] : wrong
}
