import { anyRevision, type UnitCommand, type UnitResult } from '../src/committing/commands.ts'
import type { StoreRequest } from '../src/embedded/store/protocol.ts'
import type { Draw } from './draw.ts'
import type { PlantedFault } from './faults.ts'
import type { Life } from './life.ts'

/** How often a planted bug strikes where it can. */
const strikeChance = 0.1
const earlyMs = 2000

/** Plants a bug in what the disk is asked for and what it answers. Without one it changes nothing. */
export class Saboteur {
  readonly #fault: PlantedFault | undefined
  readonly #draw: Draw
  /** No crash will end this process. */
  readonly #life: Pick<Life, 'isHealing'>
  #hasSwallowed = false

  constructor(fault: PlantedFault | undefined, draw: Draw, life: Pick<Life, 'isHealing'>) {
    this.#fault = fault
    this.#draw = draw
    this.#life = life
  }

  /** Which of the requests that wait is the next one. */
  placeOfNext(count: number): number {
    return this.#fault === 'commits-swapped' && count > 1 ? 1 : 0
  }

  /** Whether this request is never carried out. */
  swallows(): boolean {
    if (
      this.#fault !== 'answer-lost' ||
      !this.#life.isHealing ||
      this.#hasSwallowed ||
      !this.#draw.chance(strikeChance)
    )
      return false
    this.#hasSwallowed = true
    return true
  }

  tamper(request: StoreRequest): StoreRequest {
    if (this.#fault === undefined || request.kind !== 'commit') return request
    return { ...request, units: request.units.map((unit) => this.#tamperedUnit(unit)) }
  }

  /** What a commit publishes, to be stored a second time. */
  repeated(request: StoreRequest): StoreRequest | undefined {
    if (this.#fault !== 'written-twice' || request.kind !== 'commit' || !this.#draw.chance(strikeChance))
      return undefined
    const units = request.units.map(({ batches }) => ({
      batches: batches.filter(({ producer }) => producer === undefined),
      appends: [],
      state: [],
      timers: [],
      progress: [],
    }))
    return { ...request, units }
  }

  /** What the caller is told. */
  answer(request: StoreRequest, result: unknown): unknown {
    if (this.#fault !== 'offset-reused' || request.kind !== 'commit') return result
    return (result as readonly UnitResult[]).map((one) => {
      if (one.kind !== 'committed' || !this.#draw.chance(strikeChance)) return one
      return { ...one, baseOffsets: one.baseOffsets.map((offset) => Math.max(0, offset - 1)) }
    })
  }

  #tamperedUnit(unit: UnitCommand): UnitCommand {
    switch (this.#fault) {
      case 'progress-lost':
        // What is handled again shows only after a crash.
        return !this.#life.isHealing && this.#draw.chance(strikeChance) ? { ...unit, progress: [] } : unit
      case 'state-lost':
        // Without the state of the runtime itself nothing would ever drain, and the search for that takes long.
        return !this.#life.isHealing && this.#draw.chance(strikeChance) ? { ...unit, state: [] } : unit
      case 'baseless-kept':
        return {
          ...unit,
          progress: unit.progress.map(({ claim, partitionId, done }) => ({ claim, partitionId, done })),
        }
      case 'condition-unchecked':
        return { ...unit, appends: unit.appends.map(({ stream, events }) => ({ stream, events, expected: 'any' })) }
      case 'revision-unchecked':
        return {
          ...unit,
          state: unit.state.map((one) => (one.kind === 'clear' ? one : { ...one, expected: anyRevision })),
        }
      case 'timer-early':
        return {
          ...unit,
          timers: unit.timers.map((one) => (one.kind === 'schedule' ? { ...one, dueMs: one.dueMs - earlyMs } : one)),
        }
      case 'timer-twice':
        return this.#draw.chance(strikeChance)
          ? { ...unit, timers: unit.timers.filter(({ kind }) => kind !== 'fire') }
          : unit
      case 'cancel-ignored':
        return { ...unit, timers: unit.timers.filter(({ kind }) => kind !== 'cancel') }
      default:
        return unit
    }
  }
}
