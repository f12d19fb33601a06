import { OffsetSet, type Progress, type Together } from '../engine/index.ts'
import type { ClaimRow, GroupChanges, GroupState, MemberRow } from './group-plan.ts'
import { groupStatements } from './group-statements.ts'
import type { MadeChanges } from './made-changes.ts'
import { numberOf, type Row, type StatementRunner } from './statements.ts'

/** A group as it was read, with what tells whether it has changed since. */
export interface ReadGroup {
  readonly generation: number
  readonly catalogVersion: number
  readonly state: GroupState
}

/** What a look at a group costs little to know. */
export interface GroupLook {
  readonly generation: number
  readonly catalogVersion: number
  readonly hasExpired: boolean
}

/** Who joins. */
export interface NewMember {
  readonly id: string
  readonly group: string
  readonly instanceId: string
  readonly topics: readonly string[]
  readonly from: 'earliest' | 'latest'
  readonly sessionTimeoutMs: number
  readonly together: Together | undefined
}

/** How far a group is on a partition, and how far the partition is. */
export interface GroupProgress {
  readonly partitionId: number
  readonly topic: string
  readonly number: number
  readonly earliest: number
  readonly latest: number
  readonly progress: Progress
}

/**
 * Members, claims and progress of groups on the server.
 *
 * A change of a group is one statement that takes the group's row and goes by the generation that it was worked out from:
 * of two processes that change a group at the same time one writes, and the other reads again. Nothing is locked while a
 * process thinks, so one that stops in the middle holds nobody up. Sessions live by the server's clock.
 */
export class GroupStore {
  readonly #runner: StatementRunner
  readonly #made: MadeChanges
  readonly #sql: ReturnType<typeof groupStatements>

  /** @param schema Quoted. */
  constructor(runner: StatementRunner, schema: string, made: MadeChanges) {
    this.#runner = runner
    this.#made = made
    this.#sql = groupStatements(schema)
  }

  /** An id that no other member has; by itself, so that joining can be repeated when the connection is cut. */
  async newMemberId(): Promise<string> {
    const [row] = await this.#runner.query(this.#sql.newId, [])
    return String(row?.['id'])
  }

  async join(member: NewMember): Promise<void> {
    const { id, group, instanceId, topics, from, sessionTimeoutMs, together } = member
    const values = [id, group, instanceId, topics, from, sessionTimeoutMs, together ?? null, this.#made.newId()]
    await this.#runner.query(this.#sql.join, values)
  }

  /** Undefined: nobody has ever joined. */
  async read(group: string): Promise<ReadGroup | undefined> {
    const [row] = await this.#runner.query(this.#sql.read, [group])
    if (row === undefined) return undefined
    const partitions = listOf<readonly [number, string, number]>(row, 'partitions')
    const generation = numberOf(row, 'generation')
    return {
      generation,
      catalogVersion: numberOf(row, 'catalog_version'),
      state: {
        nextEpoch: generation + 1,
        members: listOf<MemberRow>(row, 'members'),
        claims: listOf<ClaimRow>(row, 'claims'),
        partitions: partitions.map(([id, topic, number]) => ({ id, topic, number })),
      },
    }
  }

  /** `false`: the group is no longer as it was when it was read, and nothing was written. */
  async apply(group: string, generation: number, { gone, claims }: GroupChanges): Promise<boolean> {
    const values = [
      group,
      generation,
      gone,
      claims.map(({ partitionId }) => partitionId),
      claims.map(({ epoch }) => epoch),
      claims.map(({ memberId }) => memberId),
      claims.map(({ isRevoking }) => isRevoking),
    ]
    return (await this.#runner.query(this.#sql.apply, values)).length > 0
  }

  /** From now on the member gets nothing more, and is asked for what it has. */
  async wantNothing(group: string, memberId: string): Promise<void> {
    await this.#runner.query(this.#sql.wantNothing, [group, memberId])
  }

  /** These members live, and will say so again within so many milliseconds. */
  async beat(members: readonly { readonly id: string; readonly remainingMs: number }[]): Promise<void> {
    const ids = members.map(({ id }) => id)
    await this.#runner.query(this.#sql.beat, [ids, members.map(({ remainingMs }) => remainingMs)])
  }

  async look(groups: readonly string[]): Promise<ReadonlyMap<string, GroupLook>> {
    const rows = await this.#runner.query(this.#sql.look, [groups])
    return new Map(
      rows.map((row) => [
        String(row['name']),
        {
          generation: numberOf(row, 'generation'),
          catalogVersion: numberOf(row, 'catalog_version'),
          hasExpired: row['has_expired'] === true,
        },
      ]),
    )
  }

  /**
   * Where an owner goes on, by partition: a place is written at once where there is none, so that a group that begins at
   * the end finds the same place after a restart. Partitions that are no more are left out.
   */
  async startOf(
    group: string,
    partitionIds: readonly number[],
    from: 'earliest' | 'latest',
  ): Promise<ReadonlyMap<number, Progress>> {
    const rows = await this.#runner.query(this.#sql.startOf, [group, partitionIds, from === 'latest'])
    return new Map(
      rows.map((row) => {
        const earliest = numberOf(row, 'start_offset')
        if (row['done'] === null) return [numberOf(row, 'id'), { next: numberOf(row, 'start'), done: [] }]
        const progress = progressOf(row)
        if (progress.next >= earliest) return [numberOf(row, 'id'), progress]
        // Retention went past the group; what is gone cannot be waited for.
        const offsets = new OffsetSet(progress)
        offsets.add(progress.next, earliest)
        return [numberOf(row, 'id'), offsets.snapshot()]
      }),
    )
  }

  async list(): Promise<readonly string[]> {
    return (await this.#runner.query(this.#sql.list, [])).map((row) => String(row['name']))
  }

  /** Members with a session that goes on, and their claims, with place. */
  async members(group: string): Promise<
    readonly {
      readonly id: string
      readonly claims: readonly (readonly [topic: string, partition: number, epoch: number])[]
    }[]
  > {
    const rows = await this.#runner.query(this.#sql.members, [group])
    return rows.map((row) => ({ id: String(row['id']), claims: listOf(row, 'claims') }))
  }

  async progress(group: string): Promise<readonly GroupProgress[]> {
    const rows = await this.#runner.query(this.#sql.progress, [group])
    return rows.map((row) => ({
      partitionId: numberOf(row, 'id'),
      topic: String(row['topic']),
      number: numberOf(row, 'number'),
      earliest: numberOf(row, 'start_offset'),
      latest: numberOf(row, 'next_offset'),
      progress: progressOf(row),
    }))
  }

  /** `false`: the group is no longer as it was when it was read, and nothing was written. */
  reset(
    group: string,
    generation: number,
    places: readonly { readonly partitionId: number; readonly next: number }[],
  ): Promise<boolean> {
    const ids = places.map(({ partitionId }) => partitionId)
    return this.#made.make(this.#sql.reset, [group, generation, ids, places.map(({ next }) => next)])
  }

  /** `false`: the group is no longer as it was when it was read, and nothing was written. */
  forget(group: string, generation: number): Promise<boolean> {
    return this.#made.make(this.#sql.forget, [group, generation])
  }
}

function listOf<T>(row: Row, column: string): readonly T[] {
  return JSON.parse(String(row[column])) as readonly T[]
}

/** What is done, as PostgreSQL writes a multirange of bigint: `{[0,5),[7,9)}`. A first range from 0 ends where to go on. */
export function progressOf(row: Row): Progress {
  const done: { from: number; to: number }[] = []
  for (const [, from, to] of String(row['done']).matchAll(/\[(\d+),(\d+)\)/g)) {
    done.push({ from: Number(from), to: Number(to) })
  }
  const next = done[0]?.from === 0 ? (done.shift() as { to: number }).to : 0
  return { next, done }
}
