import { checkTopicName } from '../committing/index.ts'
import type {
  Claim,
  CommitOutcome,
  Conflict,
  ConsumerGroups,
  Engine,
  JoinOptions,
  StateOwner,
  StateStore,
  StateWrite,
  TopicDescription,
  Topics,
  WriteBatch,
} from '../engine/index.ts'

/** Puts a prefix before names, and takes it away again. What is no name is left for the engine to refuse. */
class Names {
  readonly #prefix: string

  constructor(prefix: string) {
    this.#prefix = prefix
  }

  isInside(name: string): boolean {
    return name.startsWith(this.#prefix)
  }

  inside<Name>(name: Name): Name {
    return typeof name === 'string' && name !== '' ? (`${this.#prefix}${name}` as Name) : name
  }

  outside(name: string): string {
    return this.isInside(name) ? name.slice(this.#prefix.length) : name
  }

  claimInside(claim: Claim): Claim {
    if (typeof claim !== 'object' || claim === null) return claim
    return { ...claim, group: this.inside(claim.group), topic: this.inside(claim.topic) }
  }

  claimOutside(claim: Claim): Claim {
    return { ...claim, group: this.outside(claim.group), topic: this.outside(claim.topic) }
  }

  topicOutside(description: TopicDescription): TopicDescription {
    return { ...description, name: this.outside(description.name) }
  }

  placeOutside<Place extends { readonly topic: string }>(place: Place): Place {
    return { ...place, topic: this.outside(place.topic) }
  }

  batchInside(batch: WriteBatch): WriteBatch {
    if (typeof batch !== 'object' || batch === null) return batch
    const publish = each(batch.publish, (write) => ({ ...write, topic: this.inside(write.topic) }))
    const progress = each(batch.progress, (write) => ({ ...write, claim: this.claimInside(write.claim) }))
    const state = each(batch.state, (write) =>
      write.owner === undefined ? write : ({ ...write, owner: this.ownerInside(write.owner) } as StateWrite),
    )
    return {
      ...batch,
      ...(publish !== undefined && { publish }),
      ...(progress !== undefined && { progress }),
      ...(state !== undefined && { state }),
    }
  }

  ownerInside<Owner extends StateOwner | undefined>(owner: Owner): Owner {
    if (typeof owner !== 'object' || owner === null) return owner
    return 'topic' in owner ? (this.claimInside(owner) as Owner) : { ...owner, group: this.inside(owner.group) }
  }

  outcomeOutside(outcome: CommitOutcome): CommitOutcome {
    if (!outcome.ok) return { ok: false, conflict: this.#conflictOutside(outcome.conflict) }
    return { ...outcome, published: outcome.published.map((place) => this.placeOutside(place)) }
  }

  #conflictOutside(conflict: Conflict): Conflict {
    if (conflict.kind !== 'fenced') return conflict
    return { ...conflict, claim: this.claimOutside(conflict.claim) }
  }
}

/**
 * An engine whose topics and groups have names that begin with a prefix, and which sees no others: several programs, or
 * several runs of one, share a cluster. In errors and on the brokers, names stand whole.
 */
export function prefixedEngine(engine: Engine, prefix: string): Engine {
  const names = new Names(prefix)
  return {
    name: engine.name,
    capabilities: engine.capabilities,
    events: engine.events,
    state: prefixedState(engine.state, names),
    timers: engine.timers,
    topics: prefixedTopics(engine.topics, names),
    groups: prefixedGroups(engine.groups, names),
    commit: async (batch, options) => names.outcomeOutside(await engine.commit(names.batchInside(batch), options)),
    close: (options) => engine.close(options),
    [Symbol.asyncDispose]: () => engine.close(),
  }
}

/** Namespaces and keys stay as they are: the changelogs have the prefix. */
function prefixedState(state: StateStore, names: Names): StateStore {
  return {
    get: (namespace, key, owner) => state.get(namespace, key, names.ownerInside(owner)),
    getMany: (namespace, keys, owner) => state.getMany(namespace, keys, names.ownerInside(owner)),
    range: (namespace, range, owner) => state.range(namespace, range, names.ownerInside(owner)),
    count: (namespace, owner) => state.count(namespace, names.ownerInside(owner)),
    namespaces: (prefix, owner) => state.namespaces(prefix, names.ownerInside(owner)),
    watch: (namespace, options) => {
      const owner = options?.owner
      return state.watch(namespace, owner === undefined ? options : { ...options, owner: names.ownerInside(owner) })
    },
  }
}

function prefixedTopics(topics: Topics, names: Names): Topics {
  /** A name that none may have must not become one by what stands before it. */
  const checked = (name: string): string => {
    checkTopicName(name)
    return names.inside(name)
  }
  return {
    create: async (name, config) => names.topicOutside(await topics.create(checked(name), config)),
    ensure: async (name, config) => names.topicOutside(await topics.ensure(checked(name), config)),
    alter: async (name, changes) => names.topicOutside(await topics.alter(names.inside(name), changes)),
    delete: (name) => topics.delete(names.inside(name)),
    describe: async (name) => {
      const description = await topics.describe(names.inside(name))
      return description === undefined ? undefined : names.topicOutside(description)
    },
    list: async () => {
      const all = await topics.list()
      return all.filter(({ name }) => names.isInside(name)).map((description) => names.topicOutside(description))
    },
    locate: (topic, partition, start) => topics.locate(names.inside(topic), partition, start),
    read: (request) => topics.read(isObject(request) ? { ...request, topic: names.inside(request.topic) } : request),
    truncate: (topic, partition, beforeOffset) => topics.truncate(names.inside(topic), partition, beforeOffset),
    registerProducer: (name) => topics.registerProducer(names.inside(name)),
    maintain: () => topics.maintain(),
  }
}

function prefixedGroups(groups: ConsumerGroups, names: Names): ConsumerGroups {
  return {
    join: async (options) => {
      const member = await groups.join(joinInside(options, names))
      return {
        get id() {
          return member.id
        },
        get claims() {
          return member.claims.map((claim) => names.claimOutside(claim))
        },
        heartbeat: () => member.heartbeat(),
        leave: (leaving) => member.leave(leaving),
      }
    },
    list: async () =>
      (await groups.list()).filter((group) => names.isInside(group)).map((group) => names.outside(group)),
    describe: async (group) => {
      const found = await groups.describe(names.inside(group))
      if (found === undefined) return undefined
      return {
        group: names.outside(found.group),
        members: found.members.map(({ id, claims }) => ({
          id,
          claims: claims.map((claim) => names.claimOutside(claim)),
        })),
        lag: found.lag.map((lag) => names.placeOutside(lag)),
      }
    },
    reset: (group, topic, to, partition) => groups.reset(names.inside(group), names.inside(topic), to, partition),
    delete: (group) => groups.delete(names.inside(group)),
  }
}

function joinInside(options: JoinOptions, names: Names): JoinOptions {
  if (!isObject(options)) return options
  const isTold = (['onAssigned', 'onRevoked', 'onLost'] as const).every((name) => typeof options[name] === 'function')
  if (!isTold || !Array.isArray(options.topics)) return options
  const outside = (claims: readonly Claim[]): readonly Claim[] => claims.map((claim) => names.claimOutside(claim))
  return {
    ...options,
    group: names.inside(options.group),
    topics: (options.topics as readonly string[]).map((topic) => names.inside(topic)),
    onAssigned: (assignments) =>
      options.onAssigned(assignments.map(({ claim, progress }) => ({ claim: names.claimOutside(claim), progress }))),
    onRevoked: (claims) => options.onRevoked(outside(claims)),
    onLost: (claims) => options.onLost(outside(claims)),
  }
}

/** Changes each object of a list; whatever else is given stays for the engine to refuse. */
function each<Item>(
  list: readonly Item[] | undefined,
  change: (item: Item & object) => Item,
): readonly Item[] | undefined {
  if (!Array.isArray(list)) return list
  return (list as readonly Item[]).map((item) => (isObject(item) ? change(item) : item))
}

function isObject<Value>(value: Value): value is Value & object {
  return typeof value === 'object' && value !== null
}
