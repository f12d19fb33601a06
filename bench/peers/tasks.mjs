/** An event of about 250 bytes of JSON. */
export function orderOf(n) {
  return {
    orderId: `order-${String(n).padStart(10, '0')}`,
    customerId: `customer-${n % 1000}`,
    total: '129.95',
    currency: 'EUR',
    lines: [
      { article: 'A-1000432', quantity: 2, price: '49.95' },
      { article: 'A-1000777', quantity: 1, price: '30.05' },
    ],
    placed: '2026-01-15T10:00:00.000Z',
  }
}

/** Does something for so long, so many times at once. Answers the rate, and how long each took. */
export async function repeated({ inFlight, seconds }, one) {
  const latenciesMs = []
  let next = 0
  const startMs = performance.now()
  const endMs = startMs + seconds * 1000
  const work = async (worker) => {
    while (performance.now() < endMs) {
      const beginMs = performance.now()
      await one(next++, worker)
      latenciesMs.push(performance.now() - beginMs)
    }
  }
  await Promise.all(Array.from({ length: inFlight }, (_, worker) => work(worker)))
  const rate = (next * 1000) / (performance.now() - startMs)
  latenciesMs.sort((a, b) => a - b)
  const at = (share) => latenciesMs[Math.min(next - 1, Math.floor(next * share))]
  return { rate, p50Ms: at(0.5), p99Ms: at(0.99) }
}

const streamCount = 64
const versions = []

/**
 * Appends, each worker to a stream of its own. The streams are made before anything is measured: a new one costs some systems a
 * look at all that they hold.
 *
 * @param {(worker: number, version: any, n: number) => unknown} append Answers the version that the stream then has;
 *   `undefined` stands for that of a stream that is not there.
 */
export async function repeatedAppends(settings, append) {
  while (versions.length < streamCount) versions.push(await append(versions.length, undefined, versions.length))
  return await repeated(settings, async (n, worker) => {
    versions[worker] = await append(worker, versions[worker], n)
  })
}

/** Does something so often, many times at once. */
export async function fill(count, one, inFlight = 512) {
  let next = 0
  const work = async (worker) => {
    while (next < count) await one(next++, worker)
  }
  await Promise.all(Array.from({ length: inFlight }, (_, worker) => work(worker)))
}

/** Messages that somebody waits for until they are handled. */
export class Awaited {
  #waiting = new Map()

  /** Publishes by `publish`, and resolves when it has been handled as well. */
  async handled(id, publish) {
    const handled = new Promise((resolve) => this.#waiting.set(id, resolve))
    await publish()
    await handled
  }

  tell(id) {
    this.#waiting.get(id)?.()
    this.#waiting.delete(id)
  }
}

/** Resolves when so many were counted. */
export class Countdown {
  #left
  #done = Promise.withResolvers()

  constructor(count) {
    this.#left = count
  }

  get done() {
    return this.#done.promise
  }

  count() {
    this.#left--
    if (this.#left === 0) this.#done.resolve()
  }
}

/** The rate of something that does `count` things. */
export async function rateOf(count, work) {
  const startMs = performance.now()
  await work()
  return { rate: (count * 1000) / (performance.now() - startMs) }
}

/** Customers of the orders. */
export const customerCount = 1000

/** Fails if a view that counts the orders of each customer does not say what was published. */
export function checkCounts(system, eventCount, counts) {
  const each = eventCount / customerCount
  const right = [...counts].filter((count) => Number(count) === each).length
  if (right !== customerCount || counts.length !== customerCount)
    throw new Error(
      `${system} counted ${counts.length} customers, ${right} of them right, instead of ${customerCount}.`,
    )
}

/** What PostgreSQL says of its durability to whoever connects as the system does. */
export async function postgresSettings(connectionString) {
  // Only where it is asked for: what is measured of a process must not be somebody else's client.
  const { default: pg } = await import('pg')
  const client = new pg.Client({ connectionString })
  await client.connect()
  const names = ['fsync', 'synchronous_commit', 'full_page_writes']
  const found = {}
  for (const name of names) found[name] = (await client.query(`SHOW ${name}`)).rows[0][name]
  await client.end()
  return found
}

/** What Redis says of its durability. */
export async function redisSettings(client) {
  const found = {}
  for (const name of ['appendonly', 'appendfsync', 'save']) found[name] = (await client.config('GET', name))[1]
  return found
}

/**
 * Answers the benchmark, over the channel to its parent, one question at a time: `{ task, ...}` with what the task of that name
 * answers. Each program has
 * - `settings`: what of its durability it found to be so, asked of its server, as text by name
 * - `hold`: publishes `count` events, so many in flight, into a place that is kept
 * - `first`: publishes one more to it
 *
 * @param {Record<string, (settings: any) => unknown>} tasks
 * @param {() => unknown} close
 */
export function answerTasks(tasks, close = () => undefined) {
  const answer = async (question) => {
    if (question === 'end') {
      await close()
      process.exit(0)
    }
    const { task, ...settings } = question
    process.send((await tasks[task](settings)) ?? {})
  }
  process.on('message', (question) => {
    answer(question).catch((error) => {
      process.stderr.write(`${error.stack}\n`)
      process.exit(1)
    })
  })
  // Whoever asks is gone.
  process.on('disconnect', () => process.exit(1))
  process.send('ready')
}
