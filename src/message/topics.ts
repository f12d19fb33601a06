import { MillraceError } from '../kernel/index.ts'
import type { AnyDefinition } from './definition.ts'
import type { Message } from './envelope.ts'

/** Two definitions of one type that publish to different topics. */
export class TopicAmbiguousError extends MillraceError<
  'TOPIC_AMBIGUOUS',
  { readonly type: string; readonly topics: readonly string[] }
> {
  constructor(type: string, topics: readonly string[]) {
    super({
      code: 'TOPIC_AMBIGUOUS',
      problem: `The definitions of ${type} name different topics: ${topics.join(', ')}.`,
      remedy: 'Define it once and import it where it is needed, or name the topic when you publish.',
      details: { type, topics },
    })
  }
}

/** Kafka's rule for names of topics. */
const topicNamePattern = /^[a-zA-Z0-9._-]{1,249}$/

/** What is wrong with the name of a topic; `undefined`: nothing. */
export function topicNameProblem(name: unknown): string | undefined {
  const isName = typeof name === 'string' && topicNamePattern.test(name) && name !== '.' && name !== '..'
  return isName ? undefined : 'is no name of 1 to 249 letters, digits, ".", "_" and "-"'
}

/** Topic of queries that are asked of another app. */
export const queryTopic = 'queries'

/** The topic that carries messages of a definition: that of an event, the queue of a command, one for all queries. */
export function topicOfDefinition(definition: AnyDefinition): string {
  switch (definition.messageKind) {
    case 'event':
      return definition.topic
    case 'command':
      return definition.queue
    case 'query':
      return queryTopic
  }
}

/** Tags by type of event, of all definitions of the process that have some: bounded by its source code. */
const tagsByType = new Map<string, (data: unknown) => readonly string[]>()

/** Remembers the tags of events of a type. Of two definitions of one type the later one counts. */
export function rememberTags(type: string, tagsOf: (data: unknown) => readonly string[]): void {
  tagsByType.set(type, tagsOf)
}

/** Tags that the definition of an event gives it, if this process has defined any: a message itself does not carry them. */
export function tagsOfEvent(event: Message): readonly string[] | undefined {
  return tagsByType.get(event.type)?.(event.data)
}

/** Topics by type of message, of all definitions of the process: bounded by its source code. */
const topicsByType = new Map<string, readonly string[]>()

/** Remembers where messages of a type go. */
export function rememberTopic(type: string, topic: string): void {
  const topics = topicsByType.get(type) ?? []
  if (!topics.includes(topic)) topicsByType.set(type, [...topics, topic])
}

/**
 * The topic of the definition of a type of message, if this process has defined it: a message itself does not carry it.
 *
 * @throws TopicAmbiguousError `TOPIC_AMBIGUOUS`: two definitions of the type name different topics.
 */
export function topicOfType(type: string): string | undefined {
  const topics = topicsByType.get(type)
  if (topics === undefined) return undefined
  if (topics.length > 1) throw new TopicAmbiguousError(type, topics)
  return topics[0]
}
