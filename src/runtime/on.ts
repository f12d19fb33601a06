import type { ReadonlyData } from '../message/index.ts'
import type {
  Handler,
  HandlerContext,
  HandlerOptions,
  HandlerResult,
  MessageFor,
  StatefulTimers,
  StateOptions,
  Subscribed,
  Timers,
} from './handler.ts'
import { handlerFrom } from './handler-options.ts'

/**
 * Declares a handler: what happens when an event happens.
 *
 * It is a function of the message (and of the state of its key) that returns effects. They become real together with the
 * progress, in one commit: exactly once, whatever crashes. A handler that needs the outside world is `async` and hands
 * `ctx.key` on as idempotency key.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all options that are wrong.
 *
 * @example
 * ```ts
 * const charge = on(OrderPlaced, { retry: exponential({ max: 8 }) }, async (order, ctx) => {
 *   const receipt = await ctx.call((signal) => gateway.charge(order.data, { idempotencyKey: ctx.key, signal }))
 *   return publish(PaymentReceived({ orderId: order.data.orderId, receipt }))
 * })
 *
 * const confirm = on([PaymentReceived, StockReserved], { state: { initial: { paid: false, reserved: false } } }, (event, state) => {
 *   const next = event.type === 'PaymentReceived' ? { ...state, paid: true } : { ...state, reserved: true }
 *   return next.paid && next.reserved ? [remove(), publish(OrderConfirmed({ orderId: event.data.orderId }))] : set(next)
 * })
 * ```
 */
export function on<const E extends Subscribed>(
  events: E,
  handle: (message: MessageFor<E>, ctx: HandlerContext) => HandlerResult,
): Handler
export function on<const E extends Subscribed, State>(
  events: E,
  options: HandlerOptions<MessageFor<E>> & {
    readonly state: StateOptions<State>
    /** What runs when a timer that was scheduled under its name is due. */
    readonly timers?: StatefulTimers<State>
  },
  handle: (
    message: MessageFor<E>,
    state: ReadonlyData<State>,
    ctx: HandlerContext,
  ) => HandlerResult<ReadonlyData<State>>,
): Handler
export function on<const E extends Subscribed>(
  events: E,
  options: HandlerOptions<MessageFor<E>> & {
    readonly state?: undefined
    /** What runs when a timer that was scheduled under its name is due. */
    readonly timers?: Timers
  },
  handle: (message: MessageFor<E>, ctx: HandlerContext) => HandlerResult,
): Handler
export function on(events: Subscribed, ...rest: readonly unknown[]): Handler {
  const [options, handle] = rest.length < 2 ? [{}, rest[0]] : rest
  return handlerFrom(events, options as object, handle)
}
