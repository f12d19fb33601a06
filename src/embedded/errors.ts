import { MillraceError } from '../kernel/index.ts'

/** The file was written by a newer Millrace. */
export class FormatNewerError extends MillraceError<
  'FILE_FORMAT_NEWER',
  { readonly path: string; readonly fileVersion: number; readonly supportedVersion: number }
> {
  constructor(path: string, fileVersion: number, supportedVersion: number) {
    super({
      code: 'FILE_FORMAT_NEWER',
      problem: `${path} has format version ${fileVersion}; this Millrace reads versions up to ${supportedVersion}.`,
      remedy: 'Update Millrace, or open a file that it wrote.',
      details: { path, fileVersion, supportedVersion },
    })
  }
}

/** The file is something else than a Millrace database. */
export class NotADatabaseFileError extends MillraceError<'FILE_FOREIGN', { readonly path: string }> {
  constructor(path: string, finding: string, options?: ErrorOptions) {
    super(
      {
        code: 'FILE_FOREIGN',
        problem: `${path} is no Millrace file: ${finding}.`,
        remedy: 'Give another path; nothing was changed.',
        details: { path },
      },
      options,
    )
  }
}

/** The file is damaged at a place that is needed to open it. */
export class FileDamagedError extends MillraceError<'FILE_DAMAGED', { readonly path: string; readonly place: string }> {
  /** @param options `opens`: whether anything can be read of it, so that its extent can be told. Default `true`. */
  constructor(
    path: string,
    place: string,
    { opens = true, ...options }: ErrorOptions & { readonly opens?: boolean } = {},
  ) {
    super(
      {
        code: 'FILE_DAMAGED',
        problem: `${path} is damaged: ${place}.`,
        remedy: opens
          ? `Nothing was changed. "millrace verify --file ${path}" tells the extent; restore a backup.`
          : `Nothing was changed, and Millrace can read nothing of it. Restore a backup: what was written after it is lost, except for rows that "sqlite3 ${path} .recover" may still find, so keep the file.`,
        details: { path, place },
      },
      options,
    )
  }
}

/** Another process owns the file. */
export class FileLockedError extends MillraceError<
  'FILE_LOCKED',
  { readonly path: string; readonly ownerProcessId: number | null }
> {
  constructor(path: string, ownerProcessId: number | null) {
    const owner = ownerProcessId === null ? 'Another process' : `Process ${ownerProcessId}`
    super({
      code: 'FILE_LOCKED',
      problem: `${owner} has ${path} open for writing.`,
      remedy: 'Stop it first, or open the file with readOnly: true.',
      details: { path, ownerProcessId },
    })
  }
}

/** The file or its folder cannot be used. */
export class FileUnusableError extends MillraceError<
  'FILE_UNUSABLE',
  { readonly path: string; readonly reason: string }
> {
  constructor(path: string, reason: string, options?: ErrorOptions) {
    super(
      {
        code: 'FILE_UNUSABLE',
        problem: `${path} cannot be opened: ${reason}.`,
        remedy: 'Check the path, the permissions of file and folder, and the space on the disk.',
        details: { path, reason },
      },
      options,
    )
  }
}

/** The disk is full: this commit was rolled back, nothing of it is stored; commits go on once there is space. */
export class DiskFullError extends MillraceError<'DISK_FULL', { readonly path: string }> {
  constructor(path: string, options?: ErrorOptions) {
    super(
      {
        code: 'DISK_FULL',
        problem: `The disk has no room for the changes of ${path}.`,
        remedy: 'Nothing of this commit was stored. Free some space, then commit again.',
        details: { path },
        fault: 'passing',
      },
      options,
    )
  }
}

/** The engine stopped for good because the disk failed under it, or its file turned out to be damaged. */
export class EngineFailedError extends MillraceError<
  'ENGINE_FAILED',
  { readonly path: string; readonly reason: string }
> {
  /** @param options `isDamaged`: opening it again would help nobody. Default `false`. */
  constructor(
    path: string,
    reason: string,
    { isDamaged = false, ...options }: ErrorOptions & { readonly isDamaged?: boolean } = {},
  ) {
    super(
      {
        code: 'ENGINE_FAILED',
        problem: `The engine of ${path} stopped: ${reason}.`,
        remedy: isDamaged
          ? `The last commits may or may not be stored. Close the engine; "millrace verify --file ${path}" tells the extent; restore a backup.`
          : 'What was acknowledged is safe; the last commits may or may not be stored. Close the engine and open it again.',
        details: { path, reason },
        fault: 'lasting',
      },
      options,
    )
  }
}

/** A write to an engine that was opened for reading only. */
export class ReadOnlyError extends MillraceError<'ENGINE_READ_ONLY', { readonly path: string }> {
  constructor(path: string) {
    super({
      code: 'ENGINE_READ_ONLY',
      problem: `${path} was opened for reading only.`,
      remedy: 'Open it without readOnly to write.',
      details: { path },
      fault: 'lasting',
    })
  }
}

/** SQLite is older than the release that fixed a fault which could damage files. */
export class SqliteTooOldError extends MillraceError<
  'SQLITE_TOO_OLD',
  { readonly version: string; readonly required: string }
> {
  constructor(version: string, required: string) {
    super({
      code: 'SQLITE_TOO_OLD',
      problem: `This Node brings SQLite ${version}, whose write-ahead log can lose data when it is reset (fixed in ${required}).`,
      remedy: 'Use Node 24.15.0 or newer; of Node 25, 25.9.0 or newer.',
      details: { version, required },
    })
  }
}
