import type { Kept } from '../engine/index.ts'
import type { Handler } from '../runtime/index.ts'
import { type Ground, type HandlerGuarantees, listed } from './guarantees.ts'

/** What becomes real together, and how often. */
export type Bridging = Pick<
  HandlerGuarantees,
  'commits' | 'delivery' | 'deliveryBecause' | 'publications' | 'publicationsBecause'
>

/** What belongs together of what somebody does with a message, besides what is published. */
interface Effects {
  readonly kinds: readonly Kept[]
  /** The kinds in words, progress first. */
  readonly words: readonly string[]
}

/** What a handler does besides publishing. */
export function effectsOf(handler: Handler): Effects {
  const timers = needsTimers(handler) ? (['timers'] as const) : []
  const state = handler.state === undefined ? 'dead letters' : 'state'
  return { kinds: ['progress', 'state', ...timers], words: ['progress', state, ...timers] }
}

/** What a decider or boundary does besides publishing. */
export const decidingEffects: Effects = {
  kinds: ['progress', 'events', 'state'],
  words: ['progress', 'events', 'outcome', 'dead letters'],
}

export function needsTimers(handler: Handler): boolean {
  return Object.keys(handler.timers).length > 0
}

/** Whether one commit of the ground makes all of these real together. */
export function commitsTogether({ capabilities }: Ground, kinds: readonly Kept[]): boolean {
  return capabilities.atomic.some((domain) => kinds.every((kind) => domain.includes(kind)))
}

/** How the atomic domains that a handler touches are brought together. */
export function bridgingOf({ kinds, words }: Effects, ground: Ground): Bridging {
  const { name, capabilities } = ground
  if (commitsTogether(ground, [...kinds, 'topics'])) {
    const because = `its ${listed([...words, 'what it publishes'])} are one commit of ${name}, whole or not at all`
    return {
      commits: [{ engine: name, holds: [...words, 'publications'] }],
      delivery: 'exactly-once',
      deliveryBecause: because,
      publications: 'exactly-once',
      publicationsBecause: because,
    }
  }
  const { bridge } = capabilities
  if (bridge !== undefined && commitsTogether(ground, kinds)) {
    return {
      commits: [
        { engine: bridge.store, holds: [...words, 'outbox'] },
        { engine: bridge.topics, holds: ['publications', 'mark of the relay'] },
      ],
      delivery: 'exactly-once',
      deliveryBecause: `its progress on ${bridge.topics} is kept in ${bridge.store}, in one commit with its ${listed(words.slice(1))}`,
      publications: bridge.delivery,
      publicationsBecause:
        bridge.delivery === 'exactly-once'
          ? `they stand in that commit too, in an outbox, and a relay brings them to ${bridge.topics} in one commit with how far it is`
          : `they stand in that commit too, in an outbox, but ${bridge.topics} cannot keep how far the relay is in one commit with them: after a crash some come again, under the same ids`,
    }
  }
  const because = `${name} does not commit its ${listed(words)} together: after a crash a message may be handled again`
  return {
    commits: capabilities.atomic.map((domain) => ({ engine: name, holds: domain })),
    delivery: 'at-least-once',
    deliveryBecause: because,
    publications: 'at-least-once',
    publicationsBecause: because,
  }
}
