import { setTimeout as wait } from 'node:timers/promises'
import { type KafkaConnection, type RunningServer, startServer, stopServer } from '../../scripts/servers/index.ts'
import type { Assignment, Claim, Engine, JoinOptions, Member, RawRecord } from '../engine/index.ts'
import { systemClock, systemRandom, uuidv7 } from '../kernel/index.ts'

/** Whether tests may use real servers, which are started if they do not run. */
export const serversWanted: boolean = process.env['MILLRACE_REAL_SERVERS'] === '1'

/** The server that tests share, started if it does not run. */
export async function sharedServer(): Promise<KafkaConnection> {
  return (await startServer('kafka')).connection
}

/** Servers of a test's own stand as far above the shared one, which may be another one than usual. */
function placeAbove(distance: number): { readonly portBase: number } {
  return { portBase: Number(process.env['MILLRACE_SERVERS_PORT_BASE'] ?? 19_000) + distance }
}

const placeToKill = placeAbove(4000)

/** A server that a test may kill and start, which is no other test's. */
export function serverToKill(): Promise<RunningServer<KafkaConnection>> {
  return startServer('kafka', { ...placeToKill, isBrief: true })
}

/** Stops that server and removes its data. */
export async function removeServerToKill(): Promise<void> {
  await stopServer('kafka', { ...placeToKill, deleteData: true })
}

const placeOfNodes = placeAbove(4500)

/** Three brokers of which a test may kill some. */
export function nodesToKill(): Promise<RunningServer<KafkaConnection>> {
  return startServer('kafka', { ...placeOfNodes, nodeCount: 3, isBrief: true })
}

const placeOfClassic = placeAbove(4200)

/** A server that takes no groups of the new protocol (KIP-848), though it knows of it. */
export function serverOfClassicGroups(): Promise<RunningServer<KafkaConnection>> {
  return startServer('kafka', {
    ...placeOfClassic,
    isBrief: true,
    settings: { 'group.coordinator.rebalance.protocols': 'classic' },
  })
}

/** Stops that server and removes its data. */
export async function removeServerOfClassicGroups(): Promise<void> {
  await stopServer('kafka', { ...placeOfClassic, deleteData: true })
}

/** Stops them and removes their data. */
export async function removeNodesToKill(): Promise<void> {
  await stopServer('kafka', { ...placeOfNodes, deleteData: true })
}

const nextId = uuidv7(systemClock, systemRandom)

/** A name that nobody else uses. */
export function freshName(label: string): string {
  return `${label}-${nextId()}`
}

/** Waits until something holds; how long is no matter of these tests. */
export async function eventually(what: string, holds: () => boolean | Promise<boolean>): Promise<void> {
  const giveUpMs = systemClock.monotonicMs() + 60_000
  while (!(await holds())) {
    if (systemClock.monotonicMs() > giveUpMs) throw new Error(`did not come about: ${what}`)
    await wait(5)
  }
}

/** Records with these texts as their values. */
export function texts(...values: readonly string[]): RawRecord[] {
  return values.map((value) => ({ key: null, value }))
}

/** The values of a partition, as text, page by page. */
export async function valuesOf(engine: Engine, topic: string, partition = 0): Promise<string[]> {
  const values: string[] = []
  let offset = await engine.topics.locate(topic, partition, 'earliest')
  for (;;) {
    const page = await engine.topics.read({ topic, partition, offset })
    for (const record of page.records) {
      if (record.kind === 'undecodable') values.push(Buffer.from(record.value).toString())
      else if (record.kind === 'message') values.push(String(record.message.data))
    }
    if (page.nextOffset >= page.latest) return values
    offset = page.nextOffset
  }
}

/** A member that keeps note of what it was told. */
export interface NotingMember {
  readonly member: Member
  readonly assigned: Assignment[]
  readonly lost: Claim[]
}

export async function joining(
  engine: Engine,
  options: Pick<JoinOptions, 'group' | 'topics'> & Partial<JoinOptions>,
): Promise<NotingMember> {
  const assigned: Assignment[] = []
  const lost: Claim[] = []
  const member = await engine.groups.join({
    onRevoked: async () => undefined,
    ...options,
    onAssigned: (assignments) => {
      assigned.push(...assignments)
      options.onAssigned?.(assignments)
    },
    onLost: (claims) => lost.push(...claims),
  })
  return { member, assigned, lost }
}

/** The first claim of a member, once it has it. */
export async function firstAssignment(noting: NotingMember): Promise<Assignment> {
  await eventually('a claim', () => noting.assigned.length > 0)
  return noting.assigned[0] as Assignment
}
