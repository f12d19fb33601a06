import { checkText } from '../committing/index.ts'
import { checkSqliteVersion, openSnapshot, placeOf } from './connection.ts'
import { checkProgressOptions, Verification, type VerifyProgress, type VerifyReport } from './verify.ts'

/**
 * Walks every record batch, event, other row and index of a file and reports damage by place, as `verify()` of an engine does.
 *
 * Opens no engine, so it also tells the extent of damage that keeps one from opening. The file is only read, also beside a
 * running app.
 *
 * @throws ArgumentInvalidError `ARGUMENT_INVALID`, FileUnusableError `FILE_UNUSABLE`, NotADatabaseFileError `FILE_FOREIGN`,
 *   FormatNewerError `FILE_FORMAT_NEWER`, SqliteTooOldError `SQLITE_TOO_OLD`; FileDamagedError `FILE_DAMAGED` where not even the
 *   list of tables can be read; the reason of `signal` when it aborts.
 *
 * @example
 * ```ts
 * const { damages } = await verifyFile('shop.db')
 * for (const { place, problem } of damages) console.log(`${place}: ${problem}`)
 * ```
 */
export async function verifyFile(
  path: string,
  options: { readonly onProgress?: (progress: VerifyProgress) => void; readonly signal?: AbortSignal } = {},
): Promise<VerifyReport> {
  checkText('path', path)
  checkProgressOptions(options)
  checkSqliteVersion()
  const db = openSnapshot(placeOf(path, false))
  try {
    return await new Verification(db).run(options.onProgress ?? (() => undefined), options.signal)
  } finally {
    db.close()
  }
}
