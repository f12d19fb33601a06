import { parentPort, workerData } from 'node:worker_threads'
import { GatewayLedger, type GatewayReply, type GatewayRequest, type GatewayTotals } from './gateway-ledger.ts'

/** How the gateway's thread starts. */
export interface GatewayWorkerData {
  readonly path: string
  readonly declineShare: number
}

/** What the thread is sent: requests to book, or the word to end. */
export type GatewayCall =
  | { readonly kind: 'book'; readonly requests: readonly GatewayRequest[] }
  | { readonly kind: 'close' }

/** What the thread sends, the first time when it is open. */
export type GatewayAnswer =
  | { readonly kind: 'booked'; readonly replies: readonly GatewayReply[]; readonly totals: GatewayTotals }
  | { readonly kind: 'failed'; readonly reason: string }

/** The thread in which the ledger lives: its syncs hold up nobody else. */
function serve(port: NonNullable<typeof parentPort>, data: GatewayWorkerData): void {
  const answer = (message: GatewayAnswer): void => port.postMessage(message)
  const attempt = <Result>(work: () => Result): Result | undefined => {
    try {
      return work()
    } catch (error) {
      answer({ kind: 'failed', reason: error instanceof Error ? error.message : String(error) })
      return undefined
    }
  }
  const ledger = attempt(() => new GatewayLedger(data.path, data.declineShare))
  if (ledger === undefined) return
  answer({ kind: 'booked', replies: [], totals: ledger.totals })
  port.on('message', (call: GatewayCall) => {
    if (call.kind === 'close') {
      ledger.close()
      port.close()
      return
    }
    attempt(() => answer({ kind: 'booked', replies: ledger.book(call.requests), totals: ledger.totals }))
  })
}

if (parentPort !== null) serve(parentPort, workerData as GatewayWorkerData)
