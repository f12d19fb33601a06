/**
 * The embedded engine: everything in one SQLite file beside the program.
 * @module
 */
import { checkOptions } from '../committing/index.ts'
import type { EngineEnvironment, EngineSource } from '../engine/index.ts'
import { systemClock, systemRandom } from '../kernel/index.ts'
import { capabilitiesOf, EmbeddedEngine } from './embedded-engine.ts'
import { type EmbeddedOptions, resolveEmbeddedOptions } from './options.ts'

export { EmbeddedEngine } from './embedded-engine.ts'
export {
  DiskFullError,
  EngineFailedError,
  FileDamagedError,
  FileLockedError,
  FileUnusableError,
  FormatNewerError,
  NotADatabaseFileError,
  ReadOnlyError,
  SqliteTooOldError,
} from './errors.ts'
export type { EmbeddedOptions } from './options.ts'
export type { Damage, VerifyProgress, VerifyReport } from './verify.ts'
export { verifyFile } from './verify-file.ts'

/** An {@link EngineSource} that opens an {@link EmbeddedEngine}. */
export interface EmbeddedSource extends EngineSource {
  open(environment?: Partial<EngineEnvironment>): Promise<EmbeddedEngine>
}

/**
 * Describes an embedded engine; `open()`, or the app that is started with it, opens it.
 *
 * @throws OptionsInvalidError at once; `open()` rejects with FileLockedError, FileUnusableError, FileDamagedError,
 *   NotADatabaseFileError, FormatNewerError, SqliteTooOldError.
 * @example
 * ```ts
 * await using engine = await embedded({ path: 'shop.db' }).open()
 * await engine.topics.ensure('orders')
 * ```
 */
export function embedded(options: EmbeddedOptions): EmbeddedSource {
  const resolved = resolveEmbeddedOptions(options)
  return {
    name: 'embedded',
    capabilities: capabilitiesOf(resolved.path),
    open: async (environment = {}) => {
      checkOptions('environment', environment)
      const { clock = systemClock, random = systemRandom, visit } = environment
      return EmbeddedEngine.open(visit === undefined ? resolved : onVisit(resolved, visit), { clock, random })
    },
  }
}

function onVisit(options: Required<EmbeddedOptions>, visit: 'read' | 'write'): Required<EmbeddedOptions> {
  const isReadOnly = options.readOnly || (visit === 'read' && options.path !== ':memory:')
  return { ...options, maintenanceIntervalMs: 0, readOnly: isReadOnly }
}
