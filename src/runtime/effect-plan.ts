import type { StandardSchemaV1 } from '@standard-schema/spec'
import type { AppendWrite, StateWrite, TimerWrite } from '../engine/index.ts'
import { type Clock, durationMs, frozenJson, type Json, parseIsoTime, timeMsMax } from '../kernel/index.ts'
import { type Message, validateNow } from '../message/index.ts'
import { delayedSend } from './delayed-send.ts'
import type {
  AppendEffect,
  CommitWithin,
  Effect,
  PublishEffect,
  ScheduleEffect,
  SendEffect,
  TimerTime,
  WriteEffect,
} from './effects.ts'
import { EffectInvalidError, KeyMissingError, StateInvalidError, TimerUnknownError } from './errors.ts'
import type { Handler } from './handler.ts'
import type { TopicResolver } from './topic-resolver.ts'

/** Effects of one message, checked: merging them cannot fail any more. */
export interface EffectPlan {
  readonly publishes: readonly PlannedPublish[]
  /** `undefined`: as it was. */
  readonly state: PlannedState | undefined
  readonly timers: readonly PlannedTimer[]
  readonly appends: readonly AppendWrite[]
  /** State beside the handler's own. */
  readonly writes: readonly StateWrite[]
  /** Commands that are to be sent later. */
  readonly delayed: readonly TimerWrite[]
  /** What the commit is made inside of. */
  readonly within: CommitWithin | undefined
  /** Runs once all is durable. */
  readonly afterwards: readonly (() => void)[]
  /** An append or a write expects something, so its conflict must concern nobody else. */
  readonly expects: boolean
  /** Topics that must be made sure of first. */
  readonly unready: readonly PlannedPublish[]
  readonly effectCount: number
}

export interface PlannedPublish {
  readonly topic: string
  readonly partition: number | undefined
  readonly messages: readonly Message[]
}

export type PlannedState = { readonly kind: 'set'; readonly value: Json } | { readonly kind: 'remove' }

export type PlannedTimer =
  | { readonly kind: 'schedule'; readonly id: string; readonly dueMs: number; readonly data: Json }
  | { readonly kind: 'cancel'; readonly id: string }

/** What planning needs to know. */
export interface PlanContext {
  readonly app: string
  readonly group: string
  readonly handler: Handler
  readonly topics: TopicResolver
  readonly clock: Pick<Clock, 'nowMs'>
}

const nothing: readonly never[] = Object.freeze([])

/** What a timer may carry, as JSON: as much as an event of the event store. */
const timerCharactersMax = 1_048_576

/** The plan of a message without effects. */
export const emptyPlan: EffectPlan = Object.freeze({
  publishes: nothing,
  state: undefined,
  timers: nothing,
  appends: nothing,
  writes: nothing,
  within: undefined,
  afterwards: nothing,
  delayed: nothing,
  expects: false,
  unready: nothing,
  effectCount: 0,
})

/**
 * Checks what a handler returned.
 *
 * @throws EffectInvalidError, StateInvalidError, SchemaAsyncError, KeyMissingError, TimerUnknownError, JsonInvalidError,
 *   DurationInvalidError, TopicAmbiguousError
 */
export function planEffects(
  result: unknown,
  task: { readonly key: string | undefined; readonly message: Message },
  context: PlanContext,
): EffectPlan {
  if (result === undefined || result === null) return emptyPlan
  const planner = new Planner(task.key, task.message, context)
  if (Array.isArray(result)) {
    for (const effect of result as readonly unknown[]) {
      if (effect !== undefined && effect !== false && effect !== null) planner.add(effect)
    }
  } else {
    planner.add(result)
  }
  return planner
}

class Planner implements EffectPlan {
  publishes: PlannedPublish[] = nothing as unknown as PlannedPublish[]
  state: PlannedState | undefined = undefined
  timers: PlannedTimer[] = nothing as unknown as PlannedTimer[]
  appends: AppendWrite[] = nothing as unknown as AppendWrite[]
  writes: readonly StateWrite[] = nothing
  within: CommitWithin | undefined = undefined
  afterwards: (() => void)[] = nothing as unknown as (() => void)[]
  delayed: TimerWrite[] = nothing as unknown as TimerWrite[]
  expects = false
  unready: PlannedPublish[] = nothing as unknown as PlannedPublish[]
  effectCount = 0
  readonly #key: string | undefined
  readonly #message: Message
  readonly #context: PlanContext

  constructor(key: string | undefined, message: Message, context: PlanContext) {
    this.#key = key
    this.#message = message
    this.#context = context
  }

  add(given: unknown): void {
    this.effectCount++
    const effect = given as Effect<unknown>
    switch (effect.kind) {
      case 'publish':
        this.#publish(effect)
        break
      case 'set':
        this.#needKey()
        if (this.#context.handler.state === undefined) throw this.#invalid('set by a handler that declares no state')
        this.state = { kind: 'set', value: checkedState(effect.value, this.#key as string, this.#context) }
        break
      case 'remove':
        this.#needKey()
        if (this.#context.handler.state === undefined) throw this.#invalid('remove by a handler that declares no state')
        this.state = removeState
        break
      case 'append':
        this.#append(effect)
        break
      case 'send':
        this.#send(effect)
        break
      case 'write':
        this.#write(effect)
        break
      case 'within':
        this.within = effect.commit
        this.expects = true
        break
      case 'afterwards':
        if (this.afterwards === (nothing as unknown)) this.afterwards = []
        this.afterwards.push(effect.run)
        // Nothing becomes real by it.
        this.effectCount--
        break
      case 'schedule':
        this.#schedule(effect)
        break
      case 'cancel':
        this.#needTimer(effect.id)
        if (this.timers === (nothing as unknown)) this.timers = []
        this.timers.push({ kind: 'cancel', id: effect.id })
        break
      default:
        throw this.#invalid(describe(given))
    }
  }

  #publish(effect: PublishEffect): void {
    const messages = effect.messages
    if (!Array.isArray(messages)) throw this.#invalid('publish without messages')
    const { partition = 0 } = effect
    if (!Number.isSafeInteger(partition) || partition < 0) {
      throw this.#invalid(`publish to partition ${partition}, which is no whole number from 0`)
    }
    const topics = this.#context.topics
    if (this.publishes === (nothing as unknown)) this.publishes = []
    for (const message of messages as readonly Message[]) {
      if (!isMessage(message)) throw this.#invalid(`publish of ${describe(message)}, which is no message`)
      const topic = effect.topic ?? topics.topicOf(message)
      const planned = { topic, partition: effect.partition, messages: messages.length === 1 ? messages : [message] }
      this.publishes.push(planned)
      if (topics.isReady(topic, effect.partition)) continue
      if (this.unready === (nothing as unknown)) this.unready = []
      this.unready.push(planned)
    }
  }

  #send({ command, when }: SendEffect): void {
    if (!isMessage(command)) throw this.#invalid(`send of ${describe(command)}, which is no command`)
    if (!this.#context.topics.isHandled(command.type)) {
      throw this.#invalid(
        `send of ${command.type}, which nobody handles: no service of the app, and none of its remote ones`,
      )
    }
    if (when === undefined) {
      this.#publish({ kind: 'publish', messages: [command] })
      return
    }
    const dueMs = dueTime(when, this.#context.clock.nowMs())
    if (dueMs === undefined) throw this.#invalid(`send at a time that is none: ${describe(when)}`)
    if (this.delayed === (nothing as unknown)) this.delayed = []
    this.delayed.push(delayedSend(this.#context.app, command, dueMs))
  }

  #write({ writes }: WriteEffect): void {
    this.writes = this.writes.length === 0 ? writes : [...this.writes, ...writes]
    this.expects ||= writes.some((one) => one.kind !== 'clear' && one.expectedRevision !== undefined)
  }

  #append(effect: AppendEffect): void {
    if (typeof effect.stream !== 'string' || effect.stream === '' || !Array.isArray(effect.events)) {
      throw this.#invalid('append without a stream or events')
    }
    if (effect.events.length === 0) throw this.#invalid(`append of no events to stream ${effect.stream}`)
    for (const event of effect.events) {
      if (!isMessage(event?.message)) throw this.#invalid(`append of ${describe(event)}, which is no event`)
    }
    const expectsSomething =
      (effect.expected !== undefined && effect.expected !== 'any') ||
      effect.condition !== undefined ||
      effect.repeated === 'refuse'
    if (expectsSomething) this.expects = true
    if (this.appends === (nothing as unknown)) this.appends = []
    this.appends.push({
      stream: effect.stream,
      events: effect.events,
      ...(effect.expected !== undefined && { expected: effect.expected }),
      ...(effect.condition !== undefined && { condition: effect.condition }),
      ...(effect.repeated !== undefined && { repeated: effect.repeated }),
    })
  }

  #schedule(effect: ScheduleEffect): void {
    this.#needTimer(effect.id)
    const dueMs = dueTime(effect.when, this.#context.clock.nowMs())
    if (dueMs === undefined) throw this.#invalid(`schedule with a time that is none: ${describe(effect.when)}`)
    if (this.timers === (nothing as unknown)) this.timers = []
    const data = frozenJson(effect.data ?? null, `the data of timer ${effect.id}`) as Json
    this.#checkTimerSize(effect.id, data)
    this.timers.push({ kind: 'schedule', id: effect.id, dueMs, data })
  }

  /** A timer that gives up becomes a dead letter with all that it carries, and there is no record that could be referred to. */
  #checkTimerSize(id: string, data: Json): void {
    const { id: messageId, source, type, correlationid = '', tracestate = '' } = this.#message
    const origin = messageId.length + source.length + type.length + correlationid.length + tracestate.length
    const characterCount = (data === null ? 0 : JSON.stringify(data).length) + origin
    if (characterCount <= timerCharactersMax) return
    const size = `takes ${characterCount} characters with its data and origin, more than ${timerCharactersMax}`
    throw this.#invalid(`schedule of timer ${id}, which ${size}`)
  }

  #needTimer(id: unknown): void {
    this.#needKey()
    const { handler, group } = this.#context
    if (typeof id !== 'string' || handler.timers[id] === undefined) throw new TimerUnknownError(group, String(id))
  }

  #needKey(): void {
    if (this.#key === undefined) throw new KeyMissingError(this.#context.group, this.#message.id)
  }

  #invalid(reason: string): EffectInvalidError {
    return new EffectInvalidError(this.#context.group, reason)
  }
}

const removeState: PlannedState = Object.freeze({ kind: 'remove' })

function isMessage(value: Message | undefined | null): boolean {
  return (
    typeof value === 'object' &&
    value !== null &&
    value.specversion === '1.0' &&
    typeof value.id === 'string' &&
    typeof value.type === 'string'
  )
}

function checkedState(value: unknown, key: string, context: PlanContext): Json {
  const schema = context.handler.state?.schema
  if (schema !== undefined) {
    const result = validateNow(schema, value, `the state of handler ${context.group}`)
    if (result.issues !== undefined) throw new StateInvalidError(context.group, key, result.issues.map(issueText))
    return frozenJson(result.value, 'state') as Json
  }
  return frozenJson(value, 'state') as Json
}

function issueText(issue: StandardSchemaV1.Issue): string {
  const path = (issue.path ?? []).map((part) => String(typeof part === 'object' ? part.key : part)).join('.')
  return path === '' ? issue.message : `${path}: ${issue.message}`
}

/** When that is, in milliseconds since 1970; `undefined`: it is no time. */
export function dueTime(when: TimerTime | undefined, nowMs: number): number | undefined {
  if (typeof when !== 'object' || when === null) return undefined
  // Which of both is meant nobody can tell.
  if ('after' in when && 'at' in when) return undefined
  if ('after' in when) return nowMs + durationMs(when.after)
  const atMs = typeof when.at === 'string' ? parseIsoTime(when.at) : when.at
  return atMs !== undefined && atMs >= 0 && atMs <= timeMsMax ? Math.ceil(atMs) : undefined
}

function describe(value: unknown): string {
  if (typeof value !== 'object' || value === null) return String(value)
  const kind = (value as { readonly kind?: unknown }).kind
  return typeof kind !== 'string'
    ? `an object with ${Object.keys(value).slice(0, 5).join(', ') || 'nothing in it'}`
    : `an effect of kind ${JSON.stringify(kind)}`
}
