import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'
import { sleep, systemClock } from './index.ts'

interface Pair {
  readonly client: Socket
  readonly upstream: Socket
}

/** Stands between a client and a server on this machine, and does to their connections what networks do. */
export class TcpProxy implements AsyncDisposable {
  readonly #server: Server
  readonly #pairs = new Set<Pair>()
  /** Answers of the connections that were there when it was set go nowhere. */
  #swallowed = new Set<Pair>()
  /** Half-open: nothing comes through on these any more, either way, and nobody is told. */
  #silenced = new Set<Pair>()
  /** What a client has to send for its answer to go nowhere. */
  #awaited: string | undefined
  #delayMs = 0

  private constructor(server: Server) {
    this.#server = server
  }

  /** @param port Where the server listens. @param ownPort Where this listens. Default: any free port. */
  static async to(port: number, ownPort: number = 0): Promise<TcpProxy> {
    const server = createServer()
    const proxy = new TcpProxy(server)
    server.on('connection', (client) => proxy.#accept(client, port))
    server.listen(ownPort, '127.0.0.1')
    await once(server, 'listening')
    return proxy
  }

  /** The URL of a server as clients reach it through here. */
  urlOf(url: string): string {
    const through = new URL(url)
    through.hostname = '127.0.0.1'
    through.port = String((this.#server.address() as AddressInfo).port)
    return through.href
  }

  get connectionCount(): number {
    return this.#pairs.size
  }

  /** From now on the client hears nothing more on the connections that there are, while the server hears everything. */
  swallowAnswers(): void {
    this.#swallowed = new Set(this.#pairs)
  }

  /** The next connection on which a client sends this text hears nothing more, while the server hears everything. */
  swallowAnswersTo(text: string): void {
    this.#awaited = text
  }

  /** From now on nothing comes through on the connections that there are, though they stay open. New ones work. */
  silence(): void {
    this.#silenced = new Set(this.#pairs)
  }

  /** From now on everything takes so long to come through, in milliseconds, each way, in order. */
  delay(ms: number): void {
    this.#delayMs = ms
  }

  /** Cuts every connection on both sides. */
  cut(): void {
    for (const { client, upstream } of this.#pairs) {
      client.destroy()
      upstream.destroy()
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.cut()
    this.#server.close()
    await once(this.#server, 'close')
  }

  #accept(client: Socket, port: number): void {
    const pair = { client, upstream: connect(port, '127.0.0.1') }
    const { upstream } = pair
    this.#pairs.add(pair)
    this.#forward(pair, client, upstream)
    this.#forward(pair, upstream, client)
    for (const socket of [client, upstream]) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
        this.#pairs.delete(pair)
      })
    }
  }

  #forward(pair: Pair, from: Socket, to: Socket): void {
    let before: Promise<unknown> = Promise.resolve()
    from.on('data', (bytes: Buffer) => {
      if (from === pair.client && this.#awaited !== undefined && bytes.includes(this.#awaited)) {
        this.#awaited = undefined
        this.#swallowed.add(pair)
      }
      if (this.#silenced.has(pair) || (from === pair.upstream && this.#swallowed.has(pair))) return
      // What came before may still be held up.
      const held = this.#delayMs > 0 ? sleep(this.#delayMs, systemClock) : undefined
      before = before.then(() => held).then(() => to.write(bytes))
    })
  }
}
