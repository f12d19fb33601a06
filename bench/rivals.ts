import { join } from 'node:path'
import { startServer, stopServer } from '../scripts/servers/index.ts'
import { installPeers, Peer } from './peer.ts'
import type { Figure } from './row.ts'
import { alternate, median } from './statistics.ts'

/** Servers of their own, which are removed with their data: as durable as Millrace, and as they come. */
const places = { durable: { portBase: 23_000 }, weaker: { portBase: 23_500 } } as const
const servers = ['postgres', 'kafka', 'rabbitmq', 'nats', 'redis'] as const

/** What a system is measured as. */
interface Contender {
  readonly name: string
  readonly program: string
  readonly args: Args
  /** `own`: Millrace. `rival`: as durable as Millrace. `weaker`: acknowledges what a power cut may take. */
  readonly part: 'own' | 'rival' | 'weaker'
}

/** What a program answers to a task. */
interface Answer {
  readonly rate: number
  readonly p50Ms?: number
  readonly p99Ms?: number
}

/** One thing that all are asked to do. */
export interface Contest {
  readonly what: string
  readonly unit: string
  readonly task: string
  readonly settings: (name: string) => Readonly<Record<string, number>>
  /** Also told are the latencies; of those the middle is what counts. */
  readonly counts?: 'rate' | 'latency'
}

/** The systems that stand beside Millrace, each in a process of its own, with the servers that they need. */
export class Rivals implements AsyncDisposable {
  readonly #contenders: readonly Contender[]
  readonly #peers = new Map<string, Peer>()
  readonly #open = new AsyncDisposableStack()

  private constructor(contenders: readonly Contender[]) {
    this.#contenders = contenders
    this.#open.defer(stopServers)
  }

  /** @param choose Which of all there are take part, by their programs. */
  static async open(folder: string, choose: (program: string) => boolean): Promise<Rivals> {
    await installPeers()
    const rivals = new Rivals(contenders.filter(({ program }) => choose(program)))
    try {
      for (const { name, program, args } of rivals.#contenders) {
        rivals.#peers.set(name, rivals.#open.use(await Peer.start(program, await args(folder))))
      }
      return rivals
    } catch (error) {
      await rivals[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#open.disposeAsync()
  }

  /** Lets all of them do it in turn, so often. */
  async measure({ what, unit, task, settings, counts = 'rate' }: Contest, rounds: number): Promise<readonly Figure[]> {
    const latencies = new Map<string, { readonly p50: number[]; readonly p99: number[] }>()
    const rates = await alternate(
      rounds,
      Object.fromEntries(
        this.#contenders.map(({ name }) => {
          const seen = { p50: [] as number[], p99: [] as number[] }
          latencies.set(name, seen)
          return [
            name,
            async () => {
              const answer = (await this.#peers.get(name)?.ask({ task, ...settings(name) })) as Answer
              if (answer.p50Ms !== undefined) seen.p50.push(answer.p50Ms)
              if (answer.p99Ms !== undefined) seen.p99.push(answer.p99Ms)
              return answer.rate
            },
          ]
        }),
      ),
    )
    const p50 = (name: string): number => median(latencies.get(name)?.p50 ?? [])
    const figureOf = (name: string): number => (counts === 'rate' ? (rates[name] as number) : p50(name))
    const best = this.#contenders
      .filter(({ part }) => part === 'rival')
      .map(({ name }) => name)
      .sort((a, b) => (counts === 'rate' ? figureOf(b) - figureOf(a) : figureOf(a) - figureOf(b)))[0] as string
    return this.#contenders.map(({ name, part }, index) => ({
      what: `${what}: ${name}`,
      value: figureOf(name),
      unit,
      limit:
        index === 0
          ? { what: `${best}, the best as durable`, value: figureOf(best) }
          : { what: 'Millrace', value: figureOf('Millrace') },
      ...(index === 0 && { target: counts === 'rate' ? { of: 'ratio', atLeast: 1 } : { of: 'ratio', atMost: 1 } }),
      ...notesOf(part, latencies.get(name), counts),
    }))
  }
}

function notesOf(
  part: Contender['part'],
  seen: { readonly p50: readonly number[]; readonly p99: readonly number[] } | undefined,
  counts: 'rate' | 'latency',
): { readonly notes?: readonly string[] } {
  const notes: string[] = []
  if (seen !== undefined && seen.p99.length > 0) {
    const p50 = counts === 'rate' ? `p50 ${median(seen.p50).toFixed(2)} ms, ` : ''
    notes.push(`${p50}p99 ${median(seen.p99).toFixed(2)} ms`)
  }
  if (part === 'weaker') notes.push('a power cut may take what it acknowledged')
  return notes.length > 0 ? { notes } : {}
}

/** Those who take part; `args` starts the server that the program needs, if it does not run yet. */
const contenders: readonly Contender[] = [
  { name: 'Millrace', program: 'millrace.mjs', part: 'own', args: fileIn('embedded', 'millrace.db') },
  { name: 'Millrace on PostgreSQL', program: 'millrace.mjs', part: 'own', args: onPostgres('postgres') },
  { name: 'Kafka, flush.messages=1', program: 'kafka.mjs', part: 'rival', args: onKafka('durable', '1') },
  { name: 'RabbitMQ quorum queue', program: 'rabbitmq.mjs', part: 'rival', args: onRabbitmq },
  { name: 'NATS JetStream, sync always', program: 'nats.mjs', part: 'rival', args: onNats('durable') },
  { name: 'Redis Streams, appendfsync always', program: 'redis-streams.mjs', part: 'rival', args: onRedis('durable') },
  { name: 'BullMQ, appendfsync always', program: 'bullmq.mjs', part: 'rival', args: onRedis('durable') },
  { name: 'pg-boss', program: 'pg-boss.mjs', part: 'rival', args: onPostgres() },
  { name: 'event-storage, syncOnFlush', program: 'event-storage.mjs', part: 'rival', args: fileIn('sync', 'durable') },
  { name: 'Emmett on PostgreSQL', program: 'emmett.mjs', part: 'rival', args: onPostgres() },
  { name: 'Kafka as it comes', program: 'kafka.mjs', part: 'weaker', args: onKafka('weaker', '') },
  { name: 'NATS JetStream as it comes', program: 'nats.mjs', part: 'weaker', args: onNats('weaker') },
  { name: 'Redis Streams, Redis as it comes', program: 'redis-streams.mjs', part: 'weaker', args: onRedis('weaker') },
  { name: 'BullMQ, Redis as it comes', program: 'bullmq.mjs', part: 'weaker', args: onRedis('weaker') },
  {
    name: 'event-storage as it comes',
    program: 'event-storage.mjs',
    part: 'weaker',
    args: fileIn('default', 'weaker'),
  },
]

type Args = (folder: string) => Promise<readonly string[]>

function fileIn(kind: string, name: string): Args {
  return (folder) => Promise.resolve([kind, join(folder, name)])
}

function onPostgres(...kind: readonly string[]): Args {
  return async () => [...kind, (await startServer('postgres', places.durable)).connection.url]
}

function onKafka(place: keyof typeof places, flushMessages: string): Args {
  return async () => {
    const { bootstrapBrokers } = (await startServer('kafka', places[place])).connection
    return [bootstrapBrokers[0] as string, flushMessages]
  }
}

async function onRabbitmq(): Promise<readonly string[]> {
  return [(await startServer('rabbitmq', places.durable)).connection.url]
}

function onNats(place: keyof typeof places): Args {
  return async () => {
    const settings = place === 'weaker' ? { settings: { sync_interval: '"2m"' } } : {}
    const { port, user, password } = (await startServer('nats', { ...places[place], ...settings })).connection
    return [String(port), user, password]
  }
}

function onRedis(place: keyof typeof places): Args {
  return async () => {
    const asItComes = { appendonly: 'no', appendfsync: 'everysec', save: '3600 1 300 100 60 10000' }
    const settings = place === 'weaker' ? { settings: asItComes } : {}
    return [(await startServer('redis', { ...places[place], ...settings })).connection.url]
  }
}

async function stopServers(): Promise<void> {
  for (const place of Object.values(places)) {
    for (const name of servers) await stopServer(name, { ...place, deleteData: true })
  }
}
