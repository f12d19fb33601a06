import type { API } from '@platformatic/kafka'
import type { Clock } from '../kernel/index.ts'
import type { KafkaConnection, KafkaLibrary, Protocol, ProtocolRequest } from './client-library.ts'
import { type BrokerAddress, connectionFault } from './connection-faults.ts'
import { KafkaFeatureMissingError } from './errors.ts'
import type { ResolvedKafkaOptions } from './options.ts'

/** The versions of each request that a broker takes, by the request's key. */
type VersionRanges = ReadonlyMap<number, readonly [min: number, max: number]>

/** An error response of the library that carries what was answered all the same. */
interface AnsweredError {
  readonly response?: unknown
}

/** What connections are opened with. */
export interface LinkParts {
  readonly library: KafkaLibrary
  readonly protocol: Protocol
  readonly options: ResolvedKafkaOptions
  readonly clock: Clock
  /** A request was not answered in time. */
  readonly onUnanswered: (address: BrokerAddress, sentMs: number) => void
}

/**
 * One connection to one broker. A broker answers the requests of a connection one after the other, so those that wait for
 * something have connections of their own.
 */
export class BrokerLink {
  readonly address: BrokerAddress
  /** Whether the broker takes longer over its requests than over others, because it waits for something. */
  readonly mayWait: boolean
  readonly #connection: KafkaConnection
  readonly #parts: LinkParts
  readonly #ranges: VersionRanges
  /** When something came last, on the monotonic clock. */
  #heardMs: number

  private constructor(
    address: BrokerAddress,
    mayWait: boolean,
    connection: KafkaConnection,
    parts: LinkParts,
    ranges: VersionRanges,
  ) {
    this.address = address
    this.mayWait = mayWait
    this.#connection = connection
    this.#parts = parts
    this.#ranges = ranges
    this.#heardMs = parts.clock.monotonicMs()
  }

  /**
   * @param answerMs How long the broker may take over a request beside what requests take.
   * @throws KafkaUnreachableError, which trying again may mend; KafkaLoginRefusedError, KafkaTlsError, which it does not
   */
  static async open(parts: LinkParts, address: BrokerAddress, answerMs: number): Promise<BrokerLink> {
    const { library, protocol, options } = parts
    const { tls, connectTimeoutMs, sasl } = options
    const connection = new library.Connection(options.clientId, {
      connectTimeout: connectTimeoutMs,
      requestTimeout: options.requestTimeoutMs + answerMs,
      maxInflights: 1000,
      ...(tls === undefined ? {} : { tls, tlsServerName: tls.servername ?? isName(address.host) }),
      ...(sasl === undefined ? {} : { sasl: saslOf(sasl) }),
    })
    // Whoever waits for an answer is told; without a listener an emitter would throw.
    connection.on('error', () => undefined)
    try {
      await connection.connect(address.host, address.port)
      const link = new BrokerLink(address, answerMs > 0, connection, parts, new Map([[apiVersionsKey, [0, 3]]]))
      const { apiKeys } = await link.call('ApiVersions', protocol.apiVersions, 'millrace', '0')
      const ranges = new Map(
        apiKeys.map(({ apiKey, minVersion, maxVersion }) => [apiKey, [minVersion, maxVersion]] as const),
      )
      return new BrokerLink(address, answerMs > 0, connection, parts, ranges)
    } catch (error) {
      connection.close().catch(() => undefined)
      throw connectionFault(error, address, options)
    }
  }

  get isOpen(): boolean {
    return this.#connection.isConnected()
  }

  /** Whether nothing came since a time of the monotonic clock. */
  isSilentSince(timeMs: number): boolean {
    return this.#heardMs < timeMs
  }

  /** The newest of some versions that the broker takes. */
  versionOf(key: number, candidates: readonly number[]): number | undefined {
    const range = this.#ranges.get(key)
    if (range === undefined) return undefined
    return candidates.find((version) => version >= range[0] && version <= range[1])
  }

  /**
   * Sends a request and answers the response, whatever error codes stand in it.
   * @throws KafkaUnreachableError when no answer came, KafkaFeatureMissingError when the broker does not know the request
   */
  async call<Arguments extends unknown[], Response>(
    name: string,
    request: ProtocolRequest<Arguments, Response>,
    ...args: Arguments
  ): Promise<Response> {
    const key = (request[0] as API<Arguments, Response>).key
    const version = this.versionOf(
      key,
      request.map((api) => api.version),
    )
    const api = request.find((one) => one.version === version)
    if (api === undefined) throw new KafkaFeatureMissingError(`${name} in a version that this engine speaks`)
    return this.#settle<Response>((callback) => {
      const send = api as unknown as (connection: KafkaConnection, ...rest: unknown[]) => void
      send(this.#connection, ...args, callback)
    })
  }

  /** Like {@link call}, for a request that is packed here. */
  async send<Response>(
    key: number,
    version: number,
    createPayload: Parameters<KafkaConnection['send']>[2],
    parse: Parameters<KafkaConnection['send']>[3],
    isFlexible: boolean,
  ): Promise<Response> {
    return this.#settle<Response>((callback) => {
      this.#connection.send(key, version, createPayload, parse, isFlexible, isFlexible, callback as never)
    })
  }

  async close(): Promise<void> {
    await this.#connection.close().catch(() => undefined)
  }

  #settle<Response>(start: (callback: (error: Error | null, response?: Response) => void) => void): Promise<Response> {
    const { library, options, clock, onUnanswered } = this.#parts
    const sentMs = clock.monotonicMs()
    return new Promise((resolve, reject) => {
      start((error, response) => {
        // The library turns error codes into an error, but here each code is judged at its place in the response.
        const answered = error === null ? response : (error as AnsweredError).response
        if (error === null || answered !== undefined) {
          this.#heardMs = clock.monotonicMs()
          resolve(answered as Response)
          return
        }
        if (error instanceof library.TimeoutError) onUnanswered(this.address, sentMs)
        reject(connectionFault(error, this.address, options))
      })
    })
  }
}

const apiVersionsKey = 18

/** A certificate names hosts, not addresses; and a server name that is an address is not allowed (RFC 6066, section 3). */
function isName(host: string): boolean {
  return !/^[\d.]+$|:/.test(host)
}

function saslOf(sasl: NonNullable<ResolvedKafkaOptions['sasl']>) {
  if (sasl.mechanism !== 'OAUTHBEARER') return sasl
  const { mechanism, token, extensions } = sasl
  return { mechanism, token, ...(extensions === undefined ? {} : { oauthBearerExtensions: { ...extensions } }) }
}
