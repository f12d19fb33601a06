import { ArgumentInvalidError, type Engine, type PublishWrite, type TopicPosition } from '../engine/index.ts'
import type { Clock } from '../kernel/index.ts'
import type { Message } from '../message/index.ts'
import type { TopicResolver } from '../runtime/index.ts'
import { channels } from '../telemetry/index.ts'
import { PublishInvalidError } from './errors.ts'

/** Where an app publishes. */
export interface PublishingGround {
  readonly engine: Engine
  readonly topics: TopicResolver
  readonly clock: Clock
}

/**
 * Publishes messages to the topics of their definitions, all of them in one commit, in the order in which it is called.
 *
 * @throws PublishInvalidError `PUBLISH_INVALID`
 */
export async function publishAll(
  app: string,
  { engine, topics, clock }: PublishingGround,
  messages: Message | readonly Message[],
): Promise<readonly TopicPosition[]> {
  const list = Array.isArray(messages) ? (messages as readonly Message[]) : [messages as Message]
  for (const message of list) checkTyped(message)
  const runs: (PublishWrite & { readonly messages: Message[] })[] = []
  for (const message of list) {
    const topic = topics.topicOf(message)
    const last = runs.at(-1)
    if (last?.topic === topic) last.messages.push(message)
    else runs.push({ topic, messages: [message] })
  }
  const startMs = channels.published.hasSubscribers ? clock.monotonicMs() : 0
  const outcome = await topics.publish(runs, () => engine.commit({ publish: runs }))
  if (channels.published.hasSubscribers) {
    const durationMs = clock.monotonicMs() - startMs
    channels.published.publish({ app, handler: null, messageCount: list.length, durationMs })
  }
  return outcome.ok ? outcome.published : []
}

/**
 * Refuses what was never a message: whose command it is, its type tells, and its id whether it came before.
 *
 * @throws ArgumentInvalidError `ARGUMENT_INVALID`
 */
export function checkCommand(command: unknown): void {
  const { type, id, specversion } = (command ?? {}) as Partial<Message>
  if (typeof type === 'string' && typeof id === 'string' && specversion !== undefined) return
  throw new ArgumentInvalidError('the command', 'is no message: call its definition to create one, as Deposit({ … })')
}

/** Refuses what has not even a type, by which its topic is told; the engine checks the rest. */
function checkTyped(message: unknown): void {
  const isTyped =
    typeof message === 'object' && message !== null && typeof (message as Partial<Message>).type === 'string'
  if (!isTyped) throw new PublishInvalidError(message)
}
