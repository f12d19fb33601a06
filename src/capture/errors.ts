import { MillraceError, type OptionProblem, OptionsInvalidError } from '../kernel/index.ts'

/** The package `pg` is not there. */
export class CaptureClientMissingError extends MillraceError<'CAPTURE_CLIENT_MISSING'> {
  constructor(options?: ErrorOptions) {
    super(
      {
        code: 'CAPTURE_CLIENT_MISSING',
        problem: 'The package pg is not installed, through which changes are captured from PostgreSQL.',
        remedy: 'Install it beside millrace: npm install pg.',
        details: {},
      },
      options,
    )
  }
}

/** The server writes too little into its log for changes to be captured. */
export class CaptureWalLevelError extends MillraceError<'CAPTURE_WAL_LEVEL', { readonly walLevel: string }> {
  constructor(walLevel: string) {
    super({
      code: 'CAPTURE_WAL_LEVEL',
      problem: `The server runs with wal_level = ${walLevel}, which does not say which rows changed.`,
      remedy: 'Set wal_level = logical (ALTER SYSTEM SET wal_level = logical), and restart the server.',
      details: { walLevel },
    })
  }
}

/** The user may not do what capturing takes. */
export class CaptureAccessRefusedError extends MillraceError<
  'CAPTURE_ACCESS_REFUSED',
  { readonly sqlState: string; readonly said: string }
> {
  constructor(sqlState: string, said: string, options?: ErrorOptions) {
    super(
      {
        code: 'CAPTURE_ACCESS_REFUSED',
        problem: `The server refuses what capturing changes takes (SQLSTATE ${sqlState}): ${said}.`,
        remedy:
          'The user needs the right REPLICATION (ALTER ROLE … REPLICATION), SELECT on the tables, an entry of pg_hba.conf and, to create a publication, to own the tables.',
        details: { sqlState, said },
      },
      options,
    )
  }
}

/** What the server is asked for can never be done as things stand there. */
export class CaptureRefusedError extends MillraceError<
  'CAPTURE_REFUSED',
  { readonly sqlState: string; readonly said: string }
> {
  constructor(sqlState: string, said: string, options?: ErrorOptions) {
    super(
      {
        code: 'CAPTURE_REFUSED',
        problem: `The server refuses to set up or to stream changes (SQLSTATE ${sqlState}): ${said}.`,
        remedy: 'Correct what it names, then start again.',
        details: { sqlState, said },
      },
      options,
    )
  }
}

/** A slot that is not there. */
export class CaptureSlotMissingError extends MillraceError<
  'CAPTURE_SLOT_MISSING',
  { readonly slot: string; readonly lsn: string | null }
> {
  constructor(slot: string, lsn: string | null) {
    super({
      code: 'CAPTURE_SLOT_MISSING',
      problem:
        lsn === null
          ? `There is no replication slot "${slot}".`
          : `The replication slot "${slot}" is gone, and with it the changes since ${lsn}.`,
      remedy:
        lsn === null
          ? 'Create it with createCapture().'
          : 'Call forgetCapture() and createCapture(): the capture begins anew, with a snapshot of all tables.',
      details: { slot, lsn },
    })
  }
}

/** A slot that cannot serve: the server gave its part of the log up, or it is for something else. */
export class CaptureSlotUnusableError extends MillraceError<
  'CAPTURE_SLOT_UNUSABLE',
  { readonly slot: string; readonly reason: string }
> {
  constructor(slot: string, reason: string) {
    super({
      code: 'CAPTURE_SLOT_UNUSABLE',
      problem: `The replication slot "${slot}" cannot be used: ${reason}.`,
      remedy:
        "If it is this capture's, call dropCapture(), forgetCapture() and createCapture(): it begins anew, with a snapshot. Else name another slot.",
      details: { slot, reason },
    })
  }
}

/** A slot that is to be dropped while somebody reads from it. */
export class CaptureSlotActiveError extends MillraceError<'CAPTURE_SLOT_ACTIVE', { readonly slot: string }> {
  constructor(slot: string, options?: ErrorOptions) {
    super(
      {
        code: 'CAPTURE_SLOT_ACTIVE',
        problem: `Somebody reads from the replication slot "${slot}".`,
        remedy: 'Close that capture first, then try again.',
        details: { slot },
      },
      options,
    )
  }
}

/** The slot has gone on without the capture: changes are lost to it. */
export class CapturePositionLostError extends MillraceError<
  'CAPTURE_POSITION_LOST',
  { readonly slot: string; readonly lsn: string; readonly slotLsn: string }
> {
  constructor(slot: string, lsn: string, slotLsn: string) {
    super({
      code: 'CAPTURE_POSITION_LOST',
      problem: `The replication slot "${slot}" begins at ${slotLsn}; the capture would go on at ${lsn}. The changes in between are gone: the slot was made anew or advanced, or the engine was restored from a backup.`,
      remedy: 'Call forgetCapture() and start again: the capture begins anew, with a snapshot of all tables.',
      details: { slot, lsn, slotLsn },
    })
  }
}

/** The database is another one than the one that was captured before. */
export class CaptureDatabaseChangedError extends MillraceError<
  'CAPTURE_DATABASE_CHANGED',
  { readonly slot: string; readonly system: string; readonly expectedSystem: string }
> {
  constructor(slot: string, system: string, expectedSystem: string) {
    super({
      code: 'CAPTURE_DATABASE_CHANGED',
      problem: `The capture of slot "${slot}" has its place in the log of the server ${expectedSystem}; this is the server ${system}.`,
      remedy: 'Correct the connection; or call forgetCapture() to begin anew with this server.',
      details: { slot, system, expectedSystem },
    })
  }
}

/** The server's log does not have what was captured: it ends before, or went another way. */
export class CaptureLogDivergedError extends MillraceError<
  'CAPTURE_LOG_DIVERGED',
  { readonly slot: string; readonly lsn: string; readonly timeline: number; readonly endLsn: string }
> {
  constructor(slot: string, place: { readonly lsn: string; readonly timeline: number; readonly endLsn: string }) {
    super({
      code: 'CAPTURE_LOG_DIVERGED',
      problem: `The capture of slot "${slot}" is at ${place.lsn} of timeline ${place.timeline}, which ends at ${place.endLsn} in the log of this server: it was restored, or took over from a server without the end of its log. Some of what was published is not in the database.`,
      remedy: 'Call forgetCapture() and start again: the capture begins anew, with a snapshot of all tables.',
      details: { slot, ...place },
    })
  }
}

/** A publication that is not there, or publishes no table. */
export class CapturePublicationMissingError extends MillraceError<
  'CAPTURE_PUBLICATION_MISSING',
  { readonly publication: string }
> {
  constructor(publication: string) {
    super({
      code: 'CAPTURE_PUBLICATION_MISSING',
      problem: `There is no publication "${publication}", or it publishes no table.`,
      remedy: 'Create it with createCapture(), or with CREATE PUBLICATION … FOR TABLE ….',
      details: { publication },
    })
  }
}

/** A table whose rows cannot be told apart. */
export class CaptureTableKeylessError extends MillraceError<
  'CAPTURE_TABLE_KEYLESS',
  { readonly tables: readonly string[] }
> {
  constructor(tables: readonly string[]) {
    super({
      code: 'CAPTURE_TABLE_KEYLESS',
      problem: `These tables have neither a primary key nor an index as their replica identity: ${tables.join(', ')}.`,
      remedy:
        'Add a primary key, or ALTER TABLE … REPLICA IDENTITY USING INDEX with a unique index of columns that are NOT NULL, or take them out of the publication.',
      details: { tables },
    })
  }
}

/** Two tables whose events, and notes, would have one name. */
export class CaptureTablesAlikeError extends MillraceError<
  'CAPTURE_TABLES_ALIKE',
  { readonly fullName: string; readonly tables: readonly { readonly schema: string; readonly name: string }[] }
> {
  constructor(fullName: string, tables: readonly { readonly schema: string; readonly name: string }[]) {
    const names = tables.map(({ schema, name }) => `"${schema}"."${name}"`)
    super({
      code: 'CAPTURE_TABLES_ALIKE',
      problem: `The events of these tables could not be told apart, since all of them would be named "${fullName}": ${names.join(', ')}.`,
      remedy: 'Capture each of them through a slot and a publication of its own, or give one of them another name.',
      details: { fullName, tables },
    })
  }
}

/** Rows in the log whose key nothing tells any more. */
export class CaptureKeyUnknownError extends MillraceError<'CAPTURE_KEY_UNKNOWN', { readonly table: string }> {
  constructor(table: string) {
    super({
      code: 'CAPTURE_KEY_UNKNOWN',
      problem: `The log has changes of ${table} from before its columns were altered, and nothing tells any more which of them were its key: its replica identity, FULL or NOTHING, does not name one.`,
      remedy:
        'Call dropCapture(), forgetCapture() and createCapture(): the capture begins anew, with a snapshot. With REPLICA IDENTITY DEFAULT the log names the key.',
      details: { table },
    })
  }
}

/** The log has changes from a time when the publication was not there. */
export class CapturePublicationLostError extends MillraceError<
  'CAPTURE_PUBLICATION_LOST',
  { readonly slot: string; readonly said: string }
> {
  constructor(slot: string, said: string, options?: ErrorOptions) {
    super(
      {
        code: 'CAPTURE_PUBLICATION_LOST',
        problem: `The log from where the replication slot "${slot}" is has changes from a time when its publication was not there: ${said}. Nobody can read them, also if the publication was made anew since.`,
        remedy:
          'Call dropCapture(), forgetCapture() and createCapture(): the capture begins anew, with a snapshot of all tables.',
        details: { slot, said },
      },
      options,
    )
  }
}

/** Another capturer of the slot has committed since this one last did. */
export class CaptureReplacedError extends MillraceError<'CAPTURE_REPLACED', { readonly slot: string }> {
  constructor(slot: string) {
    super({
      code: 'CAPTURE_REPLACED',
      problem: `Another process captures the changes of slot "${slot}" now.`,
      remedy: 'Nothing has to be done: this one stands by until the slot is free again.',
      details: { slot },
    })
  }
}

/** The server has not been heard of for long: its connection is given up. */
export class CaptureServerSilentError extends MillraceError<'CAPTURE_SERVER_SILENT', { readonly silenceMs: number }> {
  constructor(silenceMs: number) {
    super({
      code: 'CAPTURE_SERVER_SILENT',
      problem: `The server has sent nothing for ${silenceMs} ms.`,
      remedy: 'It is tried again on another connection; look after the server and the way to it.',
      details: { silenceMs },
    })
  }
}

/** The server ended the stream without saying why. */
export class CaptureStreamEndedError extends MillraceError<'CAPTURE_STREAM_ENDED'> {
  constructor(options?: ErrorOptions) {
    super(
      {
        code: 'CAPTURE_STREAM_ENDED',
        problem: 'The connection through which changes come has ended.',
        remedy: 'It is tried again; look after the server and the way to it.',
        details: {},
      },
      options,
    )
  }
}

/** What came from the server is not what its protocol says. */
export class CaptureProtocolError extends MillraceError<'CAPTURE_PROTOCOL', { readonly reason: string }> {
  constructor(reason: string) {
    super({
      code: 'CAPTURE_PROTOCOL',
      problem: `The stream of changes cannot be read: ${reason}.`,
      remedy: 'Check that nothing stands between Millrace and PostgreSQL that changes the stream, and report it.',
      details: { reason },
    })
  }
}

/** All that is wrong with the options of `subject`. */
export function refuseOptions(subject: string, problems: readonly OptionProblem[]): void {
  if (problems.length > 0) throw new OptionsInvalidError(subject, problems)
}
