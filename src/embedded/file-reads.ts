import { opened } from './connection.ts'
import { EngineFailedError } from './errors.ts'

/** SQLite did not get at a moment to read from in a hundred tries, which take it ten seconds. */
const sqliteProtocol = 15

/** The reads of one open file: say in Millrace's words why one failed, and end where none can succeed any more. */
export class FileReads {
  readonly path: string
  #ended: EngineFailedError | undefined

  constructor(path: string) {
    this.path = path
  }

  /**
   * @throws FileDamagedError, FileUnusableError; EngineFailedError once SQLite has lost the use of the file's locks, as where
   *   one could not be given back. It would try each read anew for ten seconds, with the event loop held up.
   */
  run<T>(work: () => T): T {
    if (this.#ended !== undefined) throw this.#ended
    try {
      return work()
    } catch (error) {
      if (error instanceof Error && 'errcode' in error && (Number(error.errcode) & 0xff) === sqliteProtocol) {
        this.#ended = new EngineFailedError(this.path, 'the locks of the file are out of order', { cause: error })
        throw this.#ended
      }
      throw opened(this.path, error)
    }
  }
}
