import { crc32 } from 'node:zlib'
import type {
  AppendCommand,
  BatchCommand,
  CommitGroup,
  EventCommand,
  Refusal,
  StateCommand,
  TimerCommand,
  UnitCommand,
  UnitResult,
} from '../committing/index.ts'
import type { Conflict } from '../engine/index.ts'
import { isUuid } from '../kernel/index.ts'
import { setProducer, writeCrc } from '../record/index.ts'
import { stripeCount } from './commit-function-sql.ts'
import { identityOf, labelsOf, queryLabels } from './event-labels.ts'

/** A group on its way to the commit function. */
export interface GroupMessage {
  /** What is to be locked, and the units, as arrays that the functions of commit-checks-sql.ts know by place. */
  readonly text: string
  /** Every byte that is stored as it is; the text says where each piece lies. */
  readonly arena: Buffer
}

type Item = readonly unknown[]

/** Gathers the names and numbers that a group locks, each once, and gives them places. */
class Places<T> {
  readonly #places = new Map<T, number>()

  add(value: T): void {
    this.#places.set(value, 0)
  }

  /** In the one order in which all engines lock. */
  sorted(compare: (a: T, b: T) => number): readonly T[] {
    const values = [...this.#places.keys()].sort(compare)
    for (const [place, value] of values.entries()) this.#places.set(value, place)
    return values
  }

  of(value: T): number {
    return this.#places.get(value) as number
  }
}

const byNumber = (a: number, b: number): number => a - b
const byText = (a: string, b: string): number => (a < b ? -1 : 1)

/** Lays pieces of bytes one behind the other. */
class Arena {
  readonly #pieces: Uint8Array[] = []
  #length = 0

  /** Start and length of the piece. */
  add(bytes: Uint8Array): readonly [start: number, length: number] {
    const start = this.#length
    this.#pieces.push(bytes)
    this.#length += bytes.byteLength
    return [start, bytes.byteLength]
  }

  joined(): Buffer {
    return Buffer.concat(this.#pieces, this.#length)
  }
}

/** Writes a group as the commit function reads it. */
export function encodeGroup({ units, arena: events }: CommitGroup): GroupMessage {
  const claims = new Map<string, Item>()
  const producers = new Places<number>()
  const partitions = new Places<number>()
  const namespaces = new Places<string>()
  const stripes = new Places<number>()
  let hasAppends = false
  for (const unit of units) {
    for (const { claim, partitionId } of unit.progress) {
      claims.set(`${claim.group}\0${partitionId}`, [claim.group, partitionId])
    }
    for (const { partitionId, producer } of unit.batches) {
      partitions.add(partitionId)
      if (producer !== undefined) producers.add(producer.producerId)
    }
    for (const command of unit.state) {
      namespaces.add(command.namespace)
      if (command.kind !== 'clear') stripes.add(stripeOf(command.namespace, command.key))
      // Which keys a namespace has nobody knows here.
      else for (let stripe = 0; stripe < stripeCount; stripe++) stripes.add(stripe)
    }
    for (const { owner, id } of unit.timers) stripes.add(stripeOf(owner, id))
    hasAppends ||= unit.appends.length > 0
  }
  const locks = {
    claims: [...claims.keys()].sort(byText).map((key) => claims.get(key)),
    producers: producers.sorted(byNumber),
    partitions: partitions.sorted(byNumber),
    namespaces: namespaces.sorted(byText),
    stripes: stripes.sorted(byNumber),
    ...(hasAppends ? { appends: true } : {}),
  }
  const arena = new Arena()
  const encoder = new UnitEncoder(arena, events, partitions, namespaces)
  const text = JSON.stringify({ ...locks, units: units.map((unit) => encoder.unit(unit)) })
  return { text, arena: arena.joined() }
}

function stripeOf(first: string, second: string): number {
  return crc32(`${first}\0${second}`) % stripeCount
}

class UnitEncoder {
  readonly #arena: Arena
  readonly #events: Uint8Array
  readonly #partitions: Places<number>
  readonly #namespaces: Places<string>

  constructor(arena: Arena, events: Uint8Array, partitions: Places<number>, namespaces: Places<string>) {
    this.#arena = arena
    this.#events = events
    this.#partitions = partitions
    this.#namespaces = namespaces
  }

  unit({ progress, batches, appends, state, timers }: UnitCommand): Record<string, unknown> {
    const unit: Record<string, unknown> = {}
    if (progress.length > 0) {
      unit['p'] = progress.map(({ claim, partitionId, done }) => [
        claim.group,
        partitionId,
        claim.epoch,
        rangesText(done),
      ])
    }
    if (batches.length > 0) unit['b'] = batches.map((batch) => this.#batch(batch))
    if (appends.length > 0) {
      const seen = new Set<string>()
      unit['a'] = appends.map((append) => this.#append(append, seen))
    }
    if (state.length > 0) {
      unit['s'] = state.map((command) => this.#state(command))
      if (isFlat(state)) unit['flat'] = true
    }
    if (timers.length > 0) unit['t'] = timers.map((command) => this.#timer(command))
    return unit
  }

  #batch({ partitionId, bytes, recordCount, timeMaxMs, producer }: BatchCommand): Item {
    if (producer !== undefined) {
      const { producerId: id, epoch, sequence: baseSequence } = producer
      setProducer(bytes, { id, epoch, baseSequence })
    }
    // The base offset, which the server gives it, is not covered.
    writeCrc(bytes)
    const place = this.#partitions.of(partitionId)
    const item = [place, partitionId, recordCount, timeMaxMs, ...this.#arena.add(bytes)]
    return producer === undefined ? item : [...item, producer.producerId, producer.epoch, producer.sequence]
  }

  /** `seen` holds the identities of earlier events of the unit: the place of the first one that comes again is told. */
  #append(command: AppendCommand, seen: Set<string>): Item {
    const { stream, expected, events, condition, refusesRepeated } = command
    let again: number | null = null
    for (const [i, { identity }] of events.entries()) {
      if (seen.has(identity)) again ??= i
      seen.add(identity)
    }
    const after = condition === undefined ? null : condition.after
    const items = condition === undefined ? null : queryLabels(condition.query)
    const item = [stream, String(expected), after, items, again, events.map((event) => this.#event(event))]
    return refusesRepeated ? [...item, true] : item
  }

  #event({ identity, type, tags, start, end }: EventCommand): Item {
    const bytes = this.#events.subarray(start, end)
    writeCrc(bytes)
    return [identityOf(identity, isUuid(identity)), labelsOf(type, tags), ...this.#arena.add(bytes)]
  }

  #state(command: StateCommand): Item {
    const namespace = this.#namespaces.of(command.namespace)
    if (command.kind === 'clear') return [2, namespace]
    if (command.kind === 'delete') return [1, namespace, command.key, command.expected]
    return [0, namespace, command.key, command.expected, ...this.#arena.add(Buffer.from(command.value))]
  }

  #timer(command: TimerCommand): Item {
    const { owner, id } = command
    if (command.kind === 'cancel') return [1, owner, id]
    if (command.kind === 'fire') return [2, owner, id, command.revision]
    return [0, owner, id, command.dueMs, ...this.#arena.add(Buffer.from(command.payload))]
  }
}

/** Every key comes once and nothing is cleared: no write depends on another one of the unit. */
function isFlat(commands: readonly StateCommand[]): boolean {
  const keys = new Set<string>()
  for (const command of commands) {
    if (command.kind === 'clear') return false
    keys.add(`${command.namespace}\0${command.key}`)
  }
  return keys.size === commands.length
}

/** Pairs of first and last but one, as PostgreSQL writes an int8multirange. */
function rangesText(done: readonly number[]): string {
  const ranges: string[] = []
  for (let i = 0; i < done.length; i += 2) if (done[i] !== done[i + 1]) ranges.push(`[${done[i]},${done[i + 1]})`)
  return `{${ranges.join(',')}}`
}

/** What the commit function says of one unit. */
interface UnitAnswer {
  /** Kind of the refusal, place in the list of its kind, and what was found. */
  readonly x?: readonly [kind: string, place: number, found?: number]
  readonly o?: readonly number[]
  readonly a?: readonly (readonly [first: number, last: number, position: number, duplicate: boolean])[]
}

/** Reads what the commit function answered to the units of a group. */
export function decodeResults(text: string, units: readonly UnitCommand[]): readonly UnitResult[] {
  const answers = JSON.parse(text) as readonly UnitAnswer[]
  return units.map((unit, i): UnitResult => {
    const { x, o = [], a = [] } = answers[i] as UnitAnswer
    if (x !== undefined) return refusalOf(unit, x)
    const appended = a.map(([firstVersion, lastVersion, lastPosition, duplicate], place) => {
      const { stream } = unit.appends[place] as AppendCommand
      return { stream, firstVersion, lastVersion, lastPosition, duplicate }
    })
    return { kind: 'committed', baseOffsets: o, appended }
  })
}

function refusalOf(unit: UnitCommand, [kind, place, found = 0]: readonly [string, number, number?]): UnitResult {
  const conflict = (one: Conflict): UnitResult => ({ kind: 'conflict', conflict: one })
  const refused = (refusal: Refusal): UnitResult => ({ kind: 'refused', refusal })
  const append = unit.appends[place] as AppendCommand
  const { partitionId, producer } = (unit.batches[place] ?? {}) as BatchCommand
  const { producerId = 0, epoch = 0, sequence = 0 } = producer ?? {}
  switch (kind) {
    case 'fenced':
      return conflict({ kind, claim: (unit.progress[place] as UnitCommand['progress'][number]).claim })
    case 'revision': {
      const { namespace, key, expected } = unit.state[place] as Extract<StateCommand, { kind: 'set' }>
      return conflict({ kind, namespace, key, expected, actual: found })
    }
    case 'timer': {
      const { owner, id } = unit.timers[place] as TimerCommand
      return conflict({ kind, owner, id })
    }
    case 'stream-deleted':
      return conflict({ kind, stream: append.stream })
    case 'stream-version':
      return conflict({ kind, stream: append.stream, expected: append.expected, actual: found })
    case 'condition':
      return conflict({ kind, stream: append.stream, position: found })
    case 'event-id': {
      const { identity } = append.events[found] as EventCommand
      // Behind the source, which is a URI reference and holds no space, stands an id that is no UUID.
      return conflict({ kind, stream: append.stream, id: identity.slice(identity.indexOf(' ') + 1) })
    }
    case 'producer-unknown':
      return refused({ kind, producerId })
    case 'producer-fenced':
      return refused({ kind, producerId, epoch, currentEpoch: found })
    case 'out-of-sequence':
      return refused({ kind, producerId, partitionId, expected: found, sequence })
    default:
      return refused({ kind: 'partition-gone', partitionId })
  }
}
