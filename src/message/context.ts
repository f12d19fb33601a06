import { AsyncLocalStorage } from 'node:async_hooks'
import {
  type Clock,
  formatUuidv7,
  isUuid,
  parseIsoTime,
  systemClock,
  systemRandom,
  uuidTimeText,
  uuidv7,
} from '../kernel/index.ts'
import type { Extensions, Message } from './envelope.ts'

/** What messages inherit from the place where they are created. */
export interface MessageContext {
  readonly source: string
  readonly correlationid?: string
  readonly causationid?: string
  readonly traceparent?: string
  readonly tracestate?: string
  /** Extension attributes that the message gets unless its maker sets them. Default: none. */
  readonly extensions?: Extensions
  nextId(): string
  /** Wall clock, in milliseconds since 1970. */
  nowMs(): number
}

/** Source of messages that are created outside any context and name none. */
export const defaultSource = 'urn:millrace:app'

const storage = new AsyncLocalStorage<MessageContext>()

const outside: MessageContext = Object.freeze({
  source: defaultSource,
  nextId: uuidv7(systemClock, systemRandom),
  nowMs: () => systemClock.nowMs(),
})

/** The context in force here: that of the innermost {@link runInContext}, else the system's clock and fresh ids. */
export function currentContext(): MessageContext {
  return storage.getStore() ?? outside
}

/**
 * Runs a function, and everything asynchronous that it starts, so that the messages it creates inherit from `context`.
 *
 * @example
 * ```ts
 * await runInContext(contextFor(message, { source: '/shop/payment', clock, handlerId: 'payment.charge' }), () => handle(message))
 * ```
 */
export function runInContext<Result>(context: MessageContext, fn: () => Result): Result {
  return storage.run(context, fn)
}

/** Who handles a message. */
export interface HandlingOptions {
  /** Source of the messages that the handler creates: a URI reference, such as `/shop/payment`. */
  readonly source: string
  readonly clock: Pick<Clock, 'nowMs'>
  /** Name of the handler, unique in the app and stable over deployments: created ids depend on it. */
  readonly handlerId: string
}

/**
 * The context in which a handler handles a message: what it creates inherits correlation, causation and trace.
 *
 * Ids are a function of the handled message, the handler and how many ids were drawn before, so a handler that is run
 * again, after a crash or a failure, creates the same ids again as long as it creates its messages in the same order.
 * A handler that creates messages from concurrent branches should give them ids of its own.
 */
export function contextFor(handled: Message, options: HandlingOptions): MessageContext {
  let words: IdWords | undefined
  let timeText = ''
  let drawnCount = 0
  return {
    source: options.source,
    correlationid: handled.correlationid ?? handled.id,
    causationid: handled.id,
    ...(handled.traceparent !== undefined && { traceparent: handled.traceparent }),
    ...(handled.tracestate !== undefined && { tracestate: handled.tracestate }),
    nextId: () => {
      if (words === undefined) {
        words = hashWords(options.handlerId, handled)
        timeText = timeTextOf(handled)
      }
      return derivedId(timeText, words, drawnCount++)
    },
    nowMs: () => options.clock.nowMs(),
  }
}

/** The time in a UUID of version 7, else that of the envelope, else 0: whatever it is, it is the same at each retry. */
function timeTextOf(message: Message): string {
  const isVersion7 = message.id.charAt(14) === '7' && isUuid(message.id)
  return isVersion7 ? message.id.slice(0, 14).toLowerCase() : uuidTimeText(Math.max(0, parseIsoTime(message.time) ?? 0))
}

interface IdWords {
  readonly a: number
  readonly b: number
  readonly c: number
  readonly d: number
}

/**
 * 128 bits that depend on every character of the handler's name and of the message's id and source, by multiplying and
 * rotating four lanes.
 *
 * This only has to spread well: nobody gains anything from a collision with ids of his own messages.
 */
function hashWords(handlerId: string, handled: Message): IdWords {
  // Foreign ids are unique only together with their source; the lengths keep the parts apart.
  const text = `${handlerId.length}:${handlerId}${handled.id.length}:${handled.id}${handled.source}`
  let a = 0x9e3779b9 ^ text.length
  let b = 0x85ebca6b
  let c = 0xc2b2ae35
  let d = 0x27d4eb2f
  for (let index = 0; index < text.length; index++) {
    const code = text.charCodeAt(index)
    a = Math.imul(a ^ code, 0x01000193)
    b = (Math.imul(rotate(b ^ a, 13), 0x85ebca6b) + code) | 0
    c = Math.imul(rotate(c + b, 17), 0xc2b2ae35) ^ code
    d = (Math.imul(rotate(d ^ c, 19), 0x27d4eb2f) + a) | 0
  }
  return { a: mix(a ^ d), b: mix(b ^ a), c: mix(c ^ b), d: mix(d ^ c) }
}

/** The n-th id: `b` alone tells apart up to 2³² ids of one handling, since every step from n to it can be undone. */
function derivedId(timeText: string, words: IdWords, n: number): string {
  const b = mix(words.b ^ Math.imul(n, 0x9e3779b1))
  const a = mix(words.a + b)
  const c = mix(words.c + Math.imul(a, 5) + rotate(words.d ^ b, 7))
  return formatUuidv7(timeText, a, b, c)
}

function rotate(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits))
}

/** Spreads each bit over all 32, without losing any (the finalizer of MurmurHash3, by Austin Appleby). */
function mix(word: number): number {
  let h = word
  h = Math.imul(h ^ (h >>> 16), 0x85ebca6b)
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35)
  return (h ^ (h >>> 16)) >>> 0
}
