import { once } from 'node:events'
import { type AddressInfo, connect, createServer, type Server, type Socket } from 'node:net'

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

  private constructor(server: Server) {
    this.#server = server
  }

  static async to(port: number): Promise<TcpProxy> {
    const server = createServer()
    const proxy = new TcpProxy(server)
    server.on('connection', (client) => proxy.#accept(client, port))
    server.listen(0, '127.0.0.1')
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
    client.on('data', (bytes) => upstream.write(bytes))
    upstream.on('data', (bytes) => {
      if (!this.#swallowed.has(pair)) client.write(bytes)
    })
    for (const socket of [client, upstream]) {
      socket.on('error', () => undefined)
      socket.on('close', () => {
        client.destroy()
        upstream.destroy()
        this.#pairs.delete(pair)
      })
    }
  }
}
