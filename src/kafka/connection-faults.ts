import { MillraceError } from '../kernel/index.ts'
import { KafkaLoginRefusedError, KafkaTlsError, KafkaUnreachableError } from './errors.ts'
import type { ResolvedKafkaOptions } from './options.ts'

/** Codes of `node:tls` and OpenSSL for a certificate that does not do, or a partner that does not speak TLS. */
const tlsCodes = /^(ERR_TLS_|ERR_SSL_|CERT_|UNABLE_TO_|SELF_SIGNED|DEPTH_ZERO|HOSTNAME_MISMATCH|EPROTO)/

interface ClientError extends Error {
  readonly code?: string
  readonly errors?: readonly Error[]
}

/** Where a broker is. */
export interface BrokerAddress {
  readonly host: string
  readonly port: number
}

/** What a failed connection or a request without an answer means, as an error of this engine. */
export function connectionFault(error: unknown, address: BrokerAddress, options: ResolvedKafkaOptions): MillraceError {
  if (error instanceof MillraceError) return error as MillraceError
  const broker = `${address.host}:${address.port}`
  const chain = causesOf(error)
  const tls = chain.find(({ code, message }) => tlsCodes.test(code ?? '') || /requires TLS|TLS handshake/.test(message))
  if (tls !== undefined) return new KafkaTlsError(broker, reasonOf(tls), { cause: error })
  if (chain.some(({ code }) => code === 'PLT_KFK_AUTHENTICATION')) {
    return new KafkaLoginRefusedError(broker, options.sasl?.mechanism ?? 'none', { cause: error })
  }
  const reason = reasonOf(chain.at(-1) ?? { message: String(error) })
  return new KafkaUnreachableError([broker], reason, { cause: error })
}

function causesOf(error: unknown): ClientError[] {
  const chain: ClientError[] = []
  const open = [error]
  while (open.length > 0 && chain.length < 20) {
    const next = open.shift()
    if (!(next instanceof Error)) continue
    const one = next as ClientError
    chain.push(one)
    open.push(one.cause, ...(one.errors ?? []))
  }
  return chain
}

/** Without the full stop that the sentence brings by itself. */
function reasonOf(error: { readonly message: string; readonly code?: string | undefined }): string {
  const text = error.message === '' ? (error.code ?? 'it gave no reason') : error.message
  return text.replace(/\.$/, '')
}
