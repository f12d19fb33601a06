import type { Capabilities, EngineSource, Kept } from '../engine/index.ts'

const keptByStore: readonly Kept[] = ['events', 'state', 'timers']

/** An engine, open or not. */
export type Describable = Pick<EngineSource, 'name' | 'capabilities'>

/** What two engines can do together. */
export function bridgedCapabilities(topics: Describable, store: Describable): Capabilities {
  const one = topics.capabilities
  const other = store.capabilities
  const kept = keptByStore.filter((kind) => other.keeps.includes(kind))
  // Progress goes to another engine than what was read early, so nothing could tie the two together.
  const { early: _early, ...topicsOfOne } = one.topics
  const isAtomic = one.atomic.some((domain) => domain.includes('topics') && domain.includes('progress'))
  return {
    keeps: ['topics', 'progress', ...kept],
    // Progress is state of the store, so it goes with whatever the store commits together with state.
    atomic: [
      ['topics'],
      ...other.atomic
        .filter((domain) => domain.includes('state'))
        .map((domain): Kept[] => ['progress', ...kept.filter((kind) => domain.includes(kind))]),
    ],
    durability: one.durability === 'synced' && other.durability === 'synced' ? 'synced' : 'memory',
    topics: { ...topicsOfOne, outOfOrderProgress: true },
    events: other.events,
    members: one.members === 'network' && other.members === 'network' ? 'network' : 'process',
    bridge: { topics: topics.name, store: store.name, delivery: isAtomic ? 'exactly-once' : 'at-least-once' },
  }
}
