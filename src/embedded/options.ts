import { type OptionProblem, OptionsInvalidError } from '../kernel/index.ts'

/** Options of {@link embedded}. */
export interface EmbeddedOptions {
  /**
   * The database file; it is created with its folder if it is not there. `':memory:'` keeps everything in memory until
   * the engine closes. Beside it stand `-wal` and `-shm` (SQLite's log and its index) and `-lock` (who owns the file).
   */
  readonly path: string
  /** Opens the file for reading only, also beside a process that writes it. Default `false`. */
  readonly readOnly?: boolean
  /**
   * Commits waiting for the disk, in bytes, 64 KiB to 4 GiB; beyond it, `commit` waits. Default 67,108,864 (64 MiB).
   */
  readonly bufferBytesMax?: number
  /**
   * Memory for messages published last, which consumers read without decoding, in bytes; a 32nd of it for a partition that nobody
   * reads. Default 67,108,864 (64 MiB).
   */
  readonly recentBytesMax?: number
  /** How often retention runs by itself, and compaction where it is worth it, in milliseconds, from 100; 0: never. Default 60,000. */
  readonly maintenanceIntervalMs?: number
}

const mebibyte = 1024 * 1024

/** Fills in defaults and checks everything. @throws OptionsInvalidError naming all problems */
export function resolveEmbeddedOptions(options: EmbeddedOptions): Required<EmbeddedOptions> {
  const problems: OptionProblem[] = []
  if (typeof options !== 'object' || options === null) {
    throw new OptionsInvalidError('embedded()', [{ option: 'options', problem: 'is missing: give at least a path' }])
  }
  const resolved = {
    path: options.path,
    readOnly: options.readOnly ?? false,
    bufferBytesMax: options.bufferBytesMax ?? 64 * mebibyte,
    recentBytesMax: options.recentBytesMax ?? 64 * mebibyte,
    maintenanceIntervalMs: options.maintenanceIntervalMs ?? 60_000,
  }
  const known = new Set(Object.keys(resolved))
  for (const option of Object.keys(options)) if (!known.has(option)) problems.push({ option, problem: 'is no option' })
  if (typeof resolved.path !== 'string' || resolved.path === '' || resolved.path.includes('\0')) {
    problems.push({ option: 'path', problem: "is not a file path or ':memory:'" })
  }
  if (typeof resolved.readOnly !== 'boolean')
    problems.push({ option: 'readOnly', problem: 'is neither true nor false' })
  const integer = (
    option: 'bufferBytesMax' | 'recentBytesMax' | 'maintenanceIntervalMs',
    min: number,
    max: number,
  ): void => {
    const value = resolved[option]
    if (Number.isSafeInteger(value) && value >= min && value <= max) return
    problems.push({ option, problem: `is ${String(value)}, not a whole number from ${min} to ${max}` })
  }
  integer('bufferBytesMax', 64 * 1024, 4096 * mebibyte)
  integer('recentBytesMax', 0, 4096 * mebibyte)
  if (resolved.maintenanceIntervalMs !== 0) integer('maintenanceIntervalMs', 100, 2 ** 31)
  if (resolved.readOnly && resolved.path === ':memory:') {
    problems.push({ option: 'readOnly', problem: "makes no sense with ':memory:'" })
  }
  if (problems.length > 0) throw new OptionsInvalidError('embedded()', problems)
  return resolved
}
