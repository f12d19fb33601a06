/** Namespaces of the state store in which the runtime keeps its own things, and how their keys are made. */

/** State of a handler by ordering key. */
export function handlerNamespace(group: string): string {
  return `state:${group}`
}

/** Which group handles which command and query, by type: of all apps. */
export const handlerRegisterNamespace = 'handlers'

/** Dead letters of an app by id. */
export function deadLetterNamespace(app: string): string {
  return `dead-letters:${app}`
}

/** Topic that records the dead letters of an app. */
export function deadLetterTopic(app: string): string {
  return `${app}.dead-letters`
}

/** Keys that are parked: `<topic>/<partition>/<key>` of the dead letter in front. */
export function parkedKeyNamespace(group: string): string {
  return `parked-keys:${group}`
}

/** What waits behind a dead letter: `<topic>/<partition>/<escaped key>/<sequence>`. */
export function parkedNamespace(group: string): string {
  return `parked:${group}`
}

/** Attempts at messages that are to be tried again later: `<topic>/<partition>/<offset>`. */
export function attemptsNamespace(group: string): string {
  return `attempts:${group}`
}

/** Partitions that a member has, and what is known of those members before it that did not give them back: `<topic>/<partition>`. */
export function crashNamespace(group: string): string {
  return `crashes:${group}`
}

/** Message ids that were handled in one window of time. */
export function dedupeNamespace(group: string, bucket: number): string {
  return `${dedupePrefix(group)}${bucket}`
}

export function dedupePrefix(group: string): string {
  return `dedupe:${group}:`
}

/** Counters that tie the commits of a member together in their order. */
export function chainNamespace(group: string): string {
  return `chain:${group}`
}

/** Owner of the timers that stand for commands of an app that are to be sent later. */
export function delayedSendOwner(app: string): string {
  return `delayed-commands:${app}`
}

/**
 * A text that holds no `/` and no control characters, different for different texts, in the same order for texts without
 * `%`, `/` and control characters. A character that is changed takes 3 bytes.
 */
export function escapedSegment(text: string): string {
  return text.replaceAll(/[%/\p{Cc}]/gu, (one) => `%${one.charCodeAt(0).toString(16).toUpperCase().padStart(2, '0')}`)
}

/** A whole number as text that sorts like the number. */
export function sortableNumber(value: number): string {
  return String(value).padStart(16, '0')
}
