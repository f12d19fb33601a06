import type { PlantedBug } from './planted-bug.ts'

const connection = 'src/embedded/connection.ts'
const store = 'src/embedded/store/store.ts'
const topicWriter = 'src/embedded/store/topic-writer.ts'
const eventWriter = 'src/embedded/store/event-writer.ts'
const noRecheck = 'const conflict = this.#state.check(unit.state) ?? this.#timers.check(unit.timers)'
const writesBatches =
  '    const baseOffsets = unit.batches.map((batch) => duplicates.get(batch) ?? this.#topics.write(batch))\n'

/** Bugs of the embedded engine. */
export const engineBugs: readonly PlantedBug[] = [
  {
    name: 'no sync',
    net: 'power-loss',
    edits: [{ file: connection, from: 'PRAGMA synchronous = FULL', to: 'PRAGMA synchronous = OFF' }],
  },
  {
    name: 'sync at checkpoints only',
    net: 'power-loss',
    edits: [{ file: connection, from: 'PRAGMA synchronous = FULL', to: 'PRAGMA synchronous = NORMAL' }],
  },
  {
    name: 'no log on the disk to roll back or forward by',
    net: 'power-loss',
    edits: [{ file: connection, from: 'PRAGMA journal_mode = WAL', to: 'PRAGMA journal_mode = MEMORY' }],
  },
  {
    name: 'the name of a new folder is not synced',
    net: 'power-loss',
    edits: [{ file: connection, from: '  syncFolder(dirname(folder))\n', to: '' }],
  },
  {
    name: 'acknowledged before the commit',
    net: 'power-loss',
    edits: [
      { file: store, from: 'request.arena)))\n      case', to: 'request.arena)), true)\n      case' },
      {
        file: store,
        from: '#transaction<T>(work: () => T): T {',
        to: '#transaction<T>(work: () => T, early = false): T {',
      },
      {
        file: store,
        from: '      this.#commit.run()\n      return result',
        to: '      if (early) queueMicrotask(() => this.#commit.run())\n      else this.#commit.run()\n      return result',
      },
    ],
  },
  {
    name: 'progress is written after the commit of its effects',
    net: 'power-loss',
    edits: [
      {
        file: store,
        from: '      this.#progress.flush()\n      this.#commit.run()',
        to: '      this.#commit.run()\n      this.#progress.flush()',
      },
    ],
  },
  {
    name: 'records are committed before the rest of their commit',
    net: 'power-loss',
    edits: [
      {
        file: store,
        from: '    const appended = unit.appends.map((command, i): Appended => {',
        to: '    this.#commit.run()\n    this.#begin.run()\n    const appended = unit.appends.map((command, i): Appended => {',
      },
    ],
  },
  {
    name: 'the numbering of producers is kept in memory only',
    net: 'conformance',
    area: 'producers',
    edits: [
      {
        file: topicWriter,
        from: '    this.#upsertProducer.run(producerId, partitionId, epoch, text, checksum)\n',
        to: '',
      },
    ],
  },
  {
    name: 'a repeated batch of a producer is stored twice',
    net: 'kills',
    edits: [
      {
        file: topicWriter,
        from: "    if (repeated !== undefined) return { kind: 'duplicate', baseOffset: repeated.baseOffset }",
        to: "    if (repeated !== undefined) return { kind: 'write' }",
      },
    ],
  },
  {
    name: 'a repeated append is not recognised',
    net: 'conformance',
    area: 'append',
    edits: [
      {
        file: eventWriter,
        from: '    const row = this.#selectEvent.get(identity)\n    if (row === undefined) return undefined',
        to: '    const row = this.#selectEvent.get(identity)\n    if (row !== undefined || row === undefined) return undefined',
      },
    ],
  },
  {
    name: 'conditions are checked for a whole group before any of it is written',
    net: 'kills',
    edits: [
      {
        file: store,
        from: 'request.units.map((unit) => this.#answerTo(unit, request.timeMs, request.arena)))',
        to: `request.units
            .map((unit) => [unit, this.#events.check(unit.appends)] as const)
            .map(([unit, early]) => this.#commitUnit(unit, request.timeMs, request.arena, early)))`,
      },
      {
        file: store,
        from: '#commitUnit(unit: UnitCommand, timeMs: number, arena: Uint8Array): UnitResult {',
        to: '#commitUnit(unit: UnitCommand, timeMs: number, arena: Uint8Array, early?: any): UnitResult {',
      },
      {
        file: store,
        from: 'const plans = this.#events.check(unit.appends)',
        to: 'const plans = early ?? this.#events.check(unit.appends)',
      },
    ],
  },
  {
    name: 'a condition overlooks the last event',
    net: 'conformance',
    area: 'conditions',
    edits: [
      {
        file: eventWriter,
        from: '    if (this.#lastPosition <= after) return 0\n',
        to: '    if (this.#lastPosition <= after + 1) return 0\n',
      },
    ],
  },
  {
    name: 'expected revisions are not looked at',
    net: 'conformance',
    area: 'state',
    edits: [
      {
        file: 'src/embedded/store/state-writer.ts',
        from: 'if (expected !== anyRevision && expected !== actual) return',
        to: 'if (expected !== anyRevision && expected > actual) return',
      },
    ],
  },
  {
    name: 'what is refused leaves its records',
    net: 'conformance',
    area: 'atomicity',
    edits: [
      { file: store, from: `\n${writesBatches}`, to: '\n' },
      { file: store, from: `    ${noRecheck}\n`, to: `${writesBatches}    ${noRecheck}\n` },
    ],
  },
  {
    name: 'offsets of records that were truncated are given again',
    net: 'conformance',
    area: 'reading',
    edits: [
      {
        file: store,
        from: '{ startOffset: before, endFloor: end }',
        to: '{ startOffset: before }',
      },
      {
        file: topicWriter,
        from: '    for (const id of this.#written) raiseMarks(this.#db, id, { endFloor: this.endOf(id) })\n',
        to: '',
      },
      {
        file: topicWriter,
        from: '    this.#ends.set(partitionId, end)\n    }\n    return end',
        to: '    }\n    return end',
      },
    ],
  },
  {
    name: 'a timer that was fired already fires again',
    net: 'conformance',
    area: 'timers',
    edits: [
      {
        file: 'src/embedded/store/timer-writer.ts',
        from: '        if (revision !== command.revision) return',
        to: '        if (revision !== undefined && revision !== command.revision) return',
      },
    ],
  },
  {
    name: 'timers are due early',
    net: 'conformance',
    area: 'timers',
    edits: [
      {
        file: 'src/embedded/timer-reader.ts',
        from: 'WHERE owner = ? AND due_ms <= ? ORDER',
        to: 'WHERE owner = ? AND due_ms <= ? + 1 ORDER',
      },
    ],
  },
  {
    name: 'who lost a partition may still commit',
    net: 'conformance',
    area: 'progress',
    edits: [
      {
        file: 'src/embedded/embedded-engine.ts',
        from: 'isOver: (claim) => this.groups.isOver(claim),',
        to: 'isOver: () => false,',
      },
    ],
  },
  {
    name: 'compaction keeps the first record of a key',
    net: 'conformance',
    area: 'compaction',
    edits: [
      {
        file: 'src/record/key-compaction.ts',
        from: 'if (key !== null) this.#lastOffsets.set(textOf(key), offset)',
        to: 'if (key !== null && !this.#lastOffsets.has(textOf(key))) this.#lastOffsets.set(textOf(key), offset)',
      },
    ],
  },
  {
    name: 'truncated records are still served from memory',
    net: 'conformance',
    area: 'reading',
    edits: [
      {
        file: 'src/embedded/topic-log.ts',
        from: '    place.earliest = earliest\n    this.#recent.drop(place.id)\n',
        to: '    this.#recent.drop(-1)\n',
      },
    ],
  },
  {
    name: 'the engine goes on after a sync that failed',
    net: 'faults',
    area: 'fsync',
    edits: [
      {
        file: 'src/embedded/store-client.ts',
        from: 'isFinal: (error) => error instanceof EngineFailedError,',
        to: 'isFinal: () => false,',
      },
      // The writer refuses by itself what comes after such a sync.
      {
        file: store,
        from: "if (this.#failure !== undefined && request.kind !== 'close') throw",
        to: 'if (false) throw',
      },
    ],
  },
  {
    name: 'what was rolled back is still remembered',
    net: 'faults',
    edits: [
      {
        file: store,
        from: '      this.#topics.forget()\n      this.#events.forget()\n      this.#state.forget()\n      this.#timers.forget()\n      this.#progress.forget()\n      throw',
        to: '      throw',
      },
    ],
  },
  {
    name: 'checksums are not looked at',
    net: 'flips',
    edits: [
      {
        file: 'src/embedded/batch-reader.ts',
        from: "bytes instanceof Uint8Array && crc32(bytes) === row['checksum'] && isOfPartition",
        to: 'bytes instanceof Uint8Array && isOfPartition',
      },
    ],
  },
  {
    name: 'checksums of state are not looked at',
    net: 'flips',
    edits: [
      {
        file: 'src/embedded/state-reader.ts',
        from: 'if (checksum === stateChecksum(namespace, key, revision, value)) {',
        to: 'if (checksum !== undefined) {',
      },
    ],
  },
  {
    name: 'nobody waits for room',
    net: 'limits',
    edits: [
      {
        file: 'src/committing/commit-queue.ts',
        from: 'const entersAtOnce = this.#line.isEmpty && this.#budget.tryAcquire(admissionBytes)',
        to: `const entersAtOnce = true
      this.#budget.overdraw(admissionBytes)`,
      },
    ],
  },
  {
    name: 'the log never goes into the database',
    net: 'limits',
    edits: [
      {
        file: 'src/embedded/connection.ts',
        from: 'const checkpointPages = 1024',
        to: 'const checkpointPages = 100_000',
      },
    ],
  },
  {
    name: 'retention by bytes is not applied',
    net: 'limits',
    edits: [
      {
        file: 'src/embedded/store/maintenance.ts',
        from: 'const tooMuch = retentionBytes !== null && bytesHeld > retentionBytes',
        to: 'const tooMuch = false',
      },
    ],
  },
  {
    name: 'tombstones stay for ever',
    net: 'limits',
    edits: [
      {
        file: 'src/embedded/store/maintenance.ts',
        from: 'new KeyCompaction(nowMs - tombstoneRetentionMs)',
        to: 'new KeyCompaction(0)',
      },
    ],
  },
  {
    name: 'keys that a watcher has not seen gather without end',
    net: 'limits',
    edits: [
      {
        file: 'src/committing/state-watchers.ts',
        from: 'if (key === undefined || watcher.pending.size >= pendingKeysMax)',
        to: 'if (key === undefined)',
      },
    ],
  },
  {
    name: 'closing wakes nobody who waits',
    net: 'limits',
    edits: [
      {
        file: 'src/embedded/engine-core.ts',
        from: 'this.#closed = true\n    this.wake()',
        to: 'this.#closed = true',
      },
    ],
  },
  {
    name: 'a member that was put out is not let in again',
    net: 'limits',
    edits: [
      {
        file: 'src/embedded/group-coordinator.ts',
        from: 'if (this.isOut) this.#coordinator.letIn(this)',
        to: '',
      },
    ],
  },
]
