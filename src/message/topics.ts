import { MillraceError } from '../kernel/index.ts'

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

/** Topics by type of event, of all definitions of the process: bounded by its source code. */
const topicsByType = new Map<string, readonly string[]>()

/** Remembers where events of a type are published to. */
export function rememberTopic(type: string, topic: string): void {
  const topics = topicsByType.get(type) ?? []
  if (!topics.includes(topic)) topicsByType.set(type, [...topics, topic])
}

/**
 * The topic of the definition of a type of event, if this process has defined it: a message itself does not carry it.
 *
 * @throws TopicAmbiguousError `TOPIC_AMBIGUOUS`: two definitions of the type name different topics.
 */
export function topicOfType(type: string): string | undefined {
  const topics = topicsByType.get(type)
  if (topics === undefined) return undefined
  if (topics.length > 1) throw new TopicAmbiguousError(type, topics)
  return topics[0]
}
