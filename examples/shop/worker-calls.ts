import type { DeploymentName } from './deployments.ts'
import type { GatewayReply } from './gateway-ledger.ts'
import type { Money } from './money.ts'
import type { SagaKind } from './saga-kind.ts'

/** What a worker process is told when it starts. */
export interface WorkerSettings {
  readonly deployment: DeploymentName
  /** Names the ground; each process keeps only what is its own there. */
  readonly folder: string
  /** 1 for the first process besides the one that started it. */
  readonly number: number
  readonly stock: number | null
  readonly saga: SagaKind
}

/** What a worker asks the payment gateway for. */
export type WorkerRequest =
  | { readonly kind: 'charge' | 'payout'; readonly reference: string; readonly amount: Money }
  | { readonly kind: 'refund'; readonly reference: string }

/** What a worker process sends to the first one. */
export interface GatewayQuestion {
  readonly id: number
  readonly idempotencyKey: string
  readonly request: WorkerRequest
}

/** What the first process sends to a worker: the answer to a question, or the word to end. */
export type WorkerNotice =
  | { readonly kind: 'answer'; readonly id: number; readonly reply: GatewayReply }
  | { readonly kind: 'timeout'; readonly id: number }
  | { readonly kind: 'down'; readonly id: number; readonly reason: string }
  | { readonly kind: 'stop' }
