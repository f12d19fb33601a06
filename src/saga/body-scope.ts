import { type Duration, durationMs, frozenJson, isoTime, isThenable, type Json, SeededRandom } from '../kernel/index.ts'
import { contextFor, type Message, type MessageContext, runInContext } from '../message/index.ts'
import { type Effect, type PublishEffect, publish, type SendEffect, send, type TimerTime } from '../runtime/index.ts'
import type { BodyRun } from './body-run.ts'
import type { AnySaga, SagaScope } from './definition.ts'
import { CompensatedEffectsError } from './errors.ts'
import { inputEffect } from './inputs.ts'
import { type ChildEntry, errorNote, type JournalDraft, type SagaOrigin } from './journal.ts'
import { currentInput } from './kept-data.ts'
import type { SagaHost } from './saga-host.ts'

/** Runs the body with its scope, so that the messages it makes inherit from the start and have the same ids each time. */
export function runBody(host: SagaHost, run: BodyRun): Promise<unknown> {
  const { draft } = run.book
  const scope = new BodyScope(host, run)
  return runInContext(
    contextOf(host, draft, host.key, () => run.nowMs),
    async () => host.definition.body(scope as unknown as SagaScope, currentInput(host.definition, draft) as never),
  )
}

/** What is published and sent now that everything is undone; under ids that are the same each time. */
export function effectsOfCompensated(host: SagaHost, draft: JournalDraft): readonly Effect[] {
  const { definition, key, clock } = host
  const { compensated } = definition
  if (compensated === undefined) return []
  const nowMs = clock.nowMs()
  const ctx = { key, failure: draft.failure ?? errorNote('unknown'), shown: draft.shown, nowMs }
  const context = contextOf(host, draft, `${key}:compensated`, () => nowMs)
  const input = currentInput(definition, draft) as never
  const given: readonly unknown[] = runInContext(context, () => [compensated(input, ctx)].flat())
  const effects = given.filter((effect) => effect !== undefined && effect !== false)
  for (const effect of effects) {
    // A promise that fails later would end the process if nobody listened.
    if (isThenable(effect)) Promise.resolve(effect).catch(() => undefined)
    if (!isTelling(effect)) throw new CompensatedEffectsError(definition.name)
  }
  return effects as Effect[]
}

function isTelling(effect: unknown): effect is PublishEffect | SendEffect {
  const kind = (effect as Partial<Effect> | null)?.kind
  return kind === 'publish' || kind === 'send'
}

/** What the messages of an instance inherit. */
function contextOf(host: SagaHost, draft: JournalDraft, name: string, nowMs: () => number): MessageContext {
  const { group, source } = host
  return contextFor(messageOf(draft.origin as SagaOrigin), {
    source,
    clock: { nowMs },
    handlerId: `${group}:${name}`,
  })
}

/** What the body of a saga works with: tells what it asks for to its run, under ids that are the same each time. */
class BodyScope {
  readonly key: string
  readonly version: number
  readonly #host: SagaHost
  readonly #run: BodyRun
  readonly #counts = new Map<string, number>()
  #random: SeededRandom | undefined

  constructor(host: SagaHost, run: BodyRun) {
    this.key = host.key
    this.version = run.book.draft.version
    this.#host = host
    this.#run = run
  }

  step(name: string, given?: Json, options: { readonly id?: string } = {}): Promise<unknown> {
    const input = frozenJson(given ?? null, `the input of step ${name}`)
    const id = idOf(name, options.id)
    const life = this.#run.book.draft.id
    return this.#run.ask({
      id,
      make: (firstMs) => ({ op: 'step', id, name, input, life, state: 'begun', attempts: 0, firstMs }),
      same: { op: 'step', name, input },
    })
  }

  sleep(name: string, duration: Duration): Promise<unknown> {
    const ms = durationMs(duration)
    const id = `sleep:${name}`
    this.#run.say(id, { ms })
    return this.#run.ask({ id, make: (nowMs) => ({ op: 'sleep', id, dueMs: nowMs + ms }), same: { op: 'sleep' } })
  }

  signal(name: string, options: { readonly timeout?: Duration } = {}): Promise<unknown> {
    const ms = options.timeout === undefined ? undefined : durationMs(options.timeout)
    const id = `signal:${name}#${this.#count(`signal:${name}`)}`
    if (!Object.hasOwn(this.#host.definition.signals, name)) return this.#unknown('signal', name)
    this.#run.say(id, { timeoutMs: ms })
    return this.#run.ask({
      id,
      make: (nowMs) => ({ op: 'signal', id, name, ...(ms !== undefined && { dueMs: nowMs + ms }) }),
      same: { op: 'signal', name },
    })
  }

  child(name: string, given: Json, options: { readonly id?: string; readonly key?: string } = {}): Promise<unknown> {
    const { app, definition, key: parentKey } = this.#host
    const { children } = definition
    if (!Object.hasOwn(children, name)) return this.#unknown('child', name)
    const child = (children[name] as AnySaga).name
    const input = frozenJson(given ?? null, `the input of child ${name}`)
    const id = `child:${idOf(name, options.id)}`
    const key = options.key ?? `${parentKey}/${id.slice('child:'.length)}`
    const parent = { saga: definition.name, key: parentKey, entry: id, id: this.#run.book.draft.id }
    // Made each time, so that what the body makes afterwards has the same ids each time.
    const start = inputEffect(app, child, key, { kind: 'start', input, parent })
    const isNew = this.#run.book.entry(id) === undefined
    const make = (): ChildEntry => ({ op: 'child', id, name, saga: child, key, input })
    const answer = this.#run.ask({ id, make, same: { op: 'child', saga: child, key, input } })
    if (isNew && this.#run.book.entry(id) !== undefined) this.#run.addEffect(start)
    return answer
  }

  publish(given: Message | readonly Message[], options: { readonly topic?: string } = {}): void {
    const messages = Array.isArray(given) ? (given as readonly Message[]) : [given as Message]
    const types = messages.map(({ type }) => type).join('+')
    const id = `publish:${types}#${this.#count(`publish:${types}`)}`
    this.#run.say(id, { messages: messages.map(saidBy), ...options })
    const question = { id, make: () => ({ op: 'publish', id }) as const, same: { op: 'publish' } }
    if (this.#run.note(question)) this.#run.addEffect(publish(messages, options))
  }

  send(command: Message, when?: TimerTime): void {
    const id = `send:${command.type}#${this.#count(`send:${command.type}`)}`
    this.#run.say(id, { ...saidBy(command), when })
    const question = { id, make: () => ({ op: 'send', id }) as const, same: { op: 'send' } }
    if (this.#run.note(question)) this.#run.addEffect(send(command, when))
  }

  show(value: unknown): void {
    const shown = frozenJson((value ?? null) as Json, 'what is shown')
    this.#run.say(`show#${this.#count('show')}`, shown)
    this.#run.show(shown)
  }

  patched(name: string): boolean {
    const id = `patch:${name}`
    const known = this.#run.book.entry(id)
    const isOn = known?.op === 'patch' ? known.isOn : this.#run.book.unmet === undefined
    this.#run.note({ id, make: () => ({ op: 'patch', id, isOn }), same: { op: 'patch' } })
    return isOn
  }

  nowMs(): number {
    return this.#run.nowMs
  }

  random(): number {
    this.#random ??= new SeededRandom(seedOf(`${this.#host.group}:${this.#host.key}:${this.#run.book.draft.id}`))
    return this.#random.nextFloat()
  }

  #count(what: string): number {
    const count = (this.#counts.get(what) ?? 0) + 1
    this.#counts.set(what, count)
    return count
  }

  /** That the program was changed is no reason to undo what was done. */
  #unknown(kind: string, name: string): Promise<never> {
    const problem = `There is no ${kind} ${name} in the declaration.`
    this.#run.park({ reason: 'step-unknown', problem, remedy: 'Declare it, or correct the name. Then retry.' })
    return new Promise(() => undefined)
  }
}

/** What a message says that is to be the same each time. */
function saidBy({ type, data, partitionkey, subject }: Message): Readonly<Record<string, unknown>> {
  return { type, data, partitionkey, subject }
}

function idOf(name: string, id: string | undefined): string {
  return id === undefined ? name : `${name}/${id}`
}

/** 53 bits that depend on all characters (FNV-1a, two lanes). */
function seedOf(text: string): number {
  let low = 0x811c9dc5
  let high = 0x01000193
  for (let index = 0; index < text.length; index++) {
    low = Math.imul(low ^ text.charCodeAt(index), 0x01000193)
    high = Math.imul(high ^ low, 0x85ebca6b)
  }
  return (high >>> 11) * 2 ** 32 + (low >>> 0)
}

/** What the messages of an instance inherit from: the message that started it, without its data. */
function messageOf(origin: SagaOrigin): Message {
  return Object.freeze({
    specversion: '1.0',
    ...origin,
    datacontenttype: 'application/json',
    dataversion: 1,
    data: null,
  } as const)
}

/** The origin of an instance that a message starts. */
export function originOf(message: Message): SagaOrigin {
  const { id, source, type, time, correlationid, traceparent, tracestate } = message
  return {
    id,
    source,
    type,
    time: time ?? isoTime(0),
    correlationid: correlationid ?? id,
    ...(traceparent !== undefined && { traceparent }),
    ...(tracestate !== undefined && { tracestate }),
  }
}
