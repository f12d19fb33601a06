/** What the exit code of the command line says. Stable: scripts rely on them; `docs/cli.md` lists them. */
export const exitCodes: {
  readonly ok: 0
  readonly failed: 1
  readonly usage: 2
  readonly notFound: 3
  readonly damaged: 4
  readonly locked: 5
  readonly refused: 6
  readonly cannotStart: 7
  readonly interrupted: 130
  readonly terminated: 143
} = Object.freeze({
  ok: 0,
  /** Anything that has no code of its own. */
  failed: 1,
  /** The command line, or what was given as input, cannot be used. */
  usage: 2,
  /** A file, topic, group, stream, view, key or dead letter that is not there. */
  notFound: 3,
  /** The file is damaged, or no Millrace file. */
  damaged: 4,
  /** Another process has the file open for writing. */
  locked: 5,
  /** Nothing was changed because of how things stand: it exists already, is in use, or nobody confirmed. */
  refused: 6,
  /** The deployment does not give what the app needs or requires: it does not start there. */
  cannotStart: 7,
  /** Ctrl-C. */
  interrupted: 130,
  /** SIGTERM. */
  terminated: 143,
})

/** Exit codes by the code of the error; what is not listed is {@link exitCodes.failed}. */
const byErrorCode: Readonly<Record<string, number>> = {
  CLI_USAGE: exitCodes.usage,
  CLI_INPUT_INVALID: exitCodes.usage,
  CLI_CONFIG_INVALID: exitCodes.usage,
  CLI_FILE_UNNAMED: exitCodes.usage,
  ATTRIBUTE_INVALID: exitCodes.usage,
  DURATION_INVALID: exitCodes.usage,
  OPTIONS_INVALID: exitCodes.usage,
  RECORD_TOO_LARGE: exitCodes.usage,
  TOPIC_NAME_INVALID: exitCodes.usage,
  ARGUMENT_INVALID: exitCodes.usage,
  KAFKA_KEEPS_NOT: exitCodes.usage,
  CLI_NOT_FOUND: exitCodes.notFound,
  DEAD_LETTER_UNKNOWN: exitCodes.notFound,
  GROUP_UNKNOWN: exitCodes.notFound,
  OFFSET_OUT_OF_RANGE: exitCodes.notFound,
  PARTITION_UNKNOWN: exitCodes.notFound,
  POSTGRES_SCHEMA_MISSING: exitCodes.notFound,
  PROCESS_PAST_GONE: exitCodes.notFound,
  STREAM_UNKNOWN: exitCodes.notFound,
  TOPIC_UNKNOWN: exitCodes.notFound,
  VIEW_BUILD_MISSING: exitCodes.notFound,
  VIEW_NEVER_RUN: exitCodes.notFound,
  VIEW_PREVIOUS_MISSING: exitCodes.notFound,
  FILE_DAMAGED: exitCodes.damaged,
  FILE_FOREIGN: exitCodes.damaged,
  RECORD_BATCH_DAMAGED: exitCodes.damaged,
  FILE_LOCKED: exitCodes.locked,
  CLI_UNCONFIRMED: exitCodes.refused,
  CLI_TARGET_EXISTS: exitCodes.refused,
  CLI_VIEW_GROUP: exitCodes.refused,
  SAGA_SKIP_REFUSED: exitCodes.refused,
  GROUP_ACTIVE: exitCodes.refused,
  POSTGRES_SCHEMA_OLDER: exitCodes.refused,
  TABLE_SWAP_REFUSED: exitCodes.refused,
  TOPIC_EXISTS: exitCodes.refused,
  VIEW_BEHIND: exitCodes.refused,
  VIEW_DEAD_LETTERS: exitCodes.refused,
  VIEW_BUILD_UNDER_WAY: exitCodes.refused,
  VIEW_EVENTS_CHANGED: exitCodes.refused,
  VIEW_IN_USE: exitCodes.refused,
  VIEW_VERSION_DOWN: exitCodes.refused,
  ENGINE_LACKS: exitCodes.cannotStart,
  GUARANTEE_MISSING: exitCodes.cannotStart,
  START_REFUSED: exitCodes.cannotStart,
  STORE_MISSING: exitCodes.cannotStart,
  TOPIC_DIFFERS: exitCodes.cannotStart,
}

/** The exit code for an error with this code. */
export function exitCodeOf(errorCode: string): number {
  return Object.hasOwn(byErrorCode, errorCode) ? (byErrorCode[errorCode] as number) : exitCodes.failed
}
