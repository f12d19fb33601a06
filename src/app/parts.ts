import type { View } from '../domain/index.ts'
import type { AnyCommandDefinition, AnyQueryDefinition } from '../message/index.ts'
import type { Handler, TopicDeclaration } from '../runtime/index.ts'
import type { AnySaga } from '../saga/index.ts'
import type { Service } from './service.ts'

/** What an app is made of, with its name. */
export interface AppParts {
  readonly name: string
  readonly services: readonly Service[]
  readonly views: readonly View[]
  readonly sagas: readonly AnySaga[]
  readonly topics: readonly TopicDeclaration[]
  /** What other apps handle. */
  readonly remote: readonly (AnyCommandDefinition | AnyQueryDefinition)[]
}

/** One handler, view or saga of an app: what becomes a subscription. */
export interface Part {
  readonly group: string
  readonly handler: Handler
  readonly source: string
  readonly stateNamespace: string
}
