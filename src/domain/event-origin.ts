import type { StoredEvent } from '../engine/index.ts'
import { causeTypeAttribute, extensionOf, type Message } from '../message/index.ts'

/**
 * Whether an event was appended by a decider of an app, so that the inline views of the app count it. Other apps may keep their
 * events in the same store, and handlers append events by themselves.
 *
 * An event tells by its source and by the command that it goes back to. One of which a decider has set these otherwise has a tag
 * instead, and so has the event that closes the books: no command led to it.
 */
export function isDecidedIn(app: string, { message, tags }: Pick<StoredEvent, 'message' | 'tags'>): boolean {
  return tellsOrigin(app, message) || tags.includes(originTag(app))
}

/** The tags with which a decider of an app appends an event. */
export function tagsWithOrigin(app: string, event: Message, tags: readonly string[]): readonly string[] {
  return tellsOrigin(app, event) ? tags : [...tags, originTag(app)]
}

function tellsOrigin(app: string, event: Message): boolean {
  return event.source.startsWith(`/${app}/`) && extensionOf(event, causeTypeAttribute) !== undefined
}

function originTag(app: string): string {
  return `millrace:decided-in:${app}`
}
