import type { Engine } from '../../engine/index.ts'
import { SagaDesk, type SagaInstance } from '../../saga/index.ts'
import { NotFoundError, UsageError } from '../errors.ts'

/** Which sagas are meant. */
export interface SagaFilter {
  readonly app?: string
  readonly saga?: string
}

/** An instance with the desk of its saga. */
export interface FoundInstance {
  readonly desk: SagaDesk
  readonly instance: SagaInstance
}

/** Names of apps and sagas hold no dot. */
const pattern = /^saga:([^.]+)\.([^.]+)$/

/** Desks of all sagas that have instances, or of those that are meant. */
export async function desksOf(engine: Engine, { app, saga }: SagaFilter): Promise<readonly SagaDesk[]> {
  return (await engine.state.namespaces('saga:')).flatMap((namespace) => {
    const [, ownApp, ownSaga] = pattern.exec(namespace) ?? []
    if (ownApp === undefined || ownSaga === undefined) return []
    if ((app !== undefined && app !== ownApp) || (saga !== undefined && saga !== ownSaga)) return []
    return [new SagaDesk(engine, ownApp, ownSaga)]
  })
}

/**
 * The instance that a key means.
 *
 * @throws NotFoundError `CLI_NOT_FOUND`, UsageError `CLI_USAGE`: several sagas have this key.
 */
export async function findInstance(engine: Engine, key: string, filter: SagaFilter): Promise<FoundInstance> {
  const found: FoundInstance[] = []
  for (const desk of await desksOf(engine, filter)) {
    const instance = await desk.get(key)
    if (instance !== undefined) found.push({ desk, instance })
  }
  const [first, ...more] = found
  if (first === undefined) {
    throw new NotFoundError('instance of a saga under key', key, 'List instances with "millrace sagas ls".')
  }
  if (more.length === 0) return first
  const names = found.map(({ desk }) => `${desk.app}.${desk.saga}`).join(', ')
  throw new UsageError(
    `Several sagas have key ${JSON.stringify(key)}: ${names}. Say which by --saga or --app.`,
    'millrace sagas',
  )
}
