import type { Engine } from '../../engine/index.ts'
import { ProcessDesk, type ProcessInstance } from '../../saga/index.ts'
import { NotFoundError, UsageError } from '../errors.ts'

/** Which choreographies are meant. */
export interface ProcessFilter {
  readonly app?: string
  readonly service?: string
  readonly choreography?: string
}

/** A process, with the desk of its choreography. */
export interface FoundProcess {
  readonly desk: ProcessDesk
  readonly process: ProcessInstance
}

/** Names of apps and services hold no dot. */
const pattern = /^state:(([^.]+)\.([^.]+)\.(.+))$/

/** Desks of all choreographies that have processes, or of those that are meant. */
export async function desksOf(engine: Engine, filter: ProcessFilter): Promise<readonly ProcessDesk[]> {
  const desks: ProcessDesk[] = []
  for (const namespace of await engine.state.namespaces('state:')) {
    const [, group, app, service, name] = pattern.exec(namespace) ?? []
    if (group === undefined || name === undefined) continue
    if (filter.app !== undefined && filter.app !== app) continue
    if (filter.service !== undefined && filter.service !== service) continue
    if (filter.choreography !== undefined && filter.choreography !== name) continue
    const desk = new ProcessDesk(engine, group, name)
    if (await desk.isOne()) desks.push(desk)
  }
  return desks
}

/**
 * The process that a key means.
 *
 * @throws NotFoundError `CLI_NOT_FOUND`, UsageError `CLI_USAGE`: several choreographies have this key.
 */
export async function findProcess(engine: Engine, key: string, filter: ProcessFilter): Promise<FoundProcess> {
  const found: FoundProcess[] = []
  for (const desk of await desksOf(engine, filter)) {
    const process = await desk.get(key)
    if (process !== undefined) found.push({ desk, process })
  }
  const [first, ...more] = found
  if (first === undefined) {
    throw new NotFoundError('process of a choreography under key', key, 'List them with "millrace processes ls".')
  }
  if (more.length === 0) return first
  throw new UsageError(
    `Several choreographies have key ${JSON.stringify(key)}: ${found.map(({ desk }) => desk.group).join(', ')}. Say which by --choreography, --service or --app.`,
    'millrace processes',
  )
}
