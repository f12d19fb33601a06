import { MillraceError, type OptionProblem, OptionsInvalidError } from '../kernel/index.ts'

/** The table of an outbox or inbox is not there, or is no such table. */
export class OutboxTableMissingError extends MillraceError<
  'OUTBOX_TABLE_MISSING',
  { readonly table: string; readonly kind: string }
> {
  constructor(table: string, kind: string) {
    super({
      code: 'OUTBOX_TABLE_MISSING',
      problem: `${table} is no table of a Millrace ${kind}, or is not there.`,
      remedy: `Create it with create${kind === 'outbox' ? 'Outbox' : 'Inbox'}(), or with the text of ${kind}SchemaSql() in a migration of yours.`,
      details: { table, kind },
    })
  }
}

/** The table of an outbox or inbox was made by a newer Millrace. */
export class OutboxTableNewerError extends MillraceError<
  'OUTBOX_TABLE_NEWER',
  { readonly table: string; readonly tableVersion: number; readonly supportedVersion: number }
> {
  constructor(table: string, tableVersion: number, supportedVersion: number) {
    super({
      code: 'OUTBOX_TABLE_NEWER',
      problem: `${table} has format version ${tableVersion}; this Millrace knows versions up to ${supportedVersion}.`,
      remedy: 'Update Millrace, or name another table.',
      details: { table, tableVersion, supportedVersion },
    })
  }
}

/** What was given to an outbox or inbox cannot be stored in its table. */
export class OutboxArgumentInvalidError extends MillraceError<
  'OUTBOX_ARGUMENT_INVALID',
  { readonly place: string; readonly reason: string }
> {
  constructor(place: string, reason: string) {
    super({
      code: 'OUTBOX_ARGUMENT_INVALID',
      problem: `The call cannot be carried out: ${place} ${reason}.`,
      remedy: 'Correct it; nothing was stored.',
      details: { place, reason },
    })
  }
}

/** What was given as a client does not take statements as one of `pg` does. */
export class OutboxClientInvalidError extends MillraceError<'OUTBOX_CLIENT_INVALID', { readonly subject: string }> {
  constructor(subject: string) {
    super({
      code: 'OUTBOX_CLIENT_INVALID',
      problem: `What was given to ${subject} as a client has no function query(text, values).`,
      remedy:
        'Give it a Client or PoolClient of pg, or wrap a transaction of Kysely, Drizzle or Prisma with fromStatements(), as docs/outbox.md shows for each.',
      details: { subject },
    })
  }
}

/** Another relay writes the position of this outbox: this one has stopped publishing. */
export class OutboxRelayReplacedError extends MillraceError<'OUTBOX_RELAY_REPLACED', { readonly table: string }> {
  constructor(table: string) {
    super({
      code: 'OUTBOX_RELAY_REPLACED',
      problem: `Another relay of ${table} has published since this one last did.`,
      remedy: 'Nothing has to be done: this one waits for its turn again.',
      details: { table },
    })
  }
}

/** The database has not answered for long: its connection is given up. */
export class OutboxDatabaseSilentError extends MillraceError<'OUTBOX_DATABASE_SILENT', { readonly silenceMs: number }> {
  constructor(silenceMs: number) {
    super({
      code: 'OUTBOX_DATABASE_SILENT',
      problem: `The database of an outbox has not answered for ${silenceMs} ms.`,
      remedy: 'It is tried again on another connection; look after the server and the way to it.',
      details: { silenceMs },
    })
  }
}

/** A row of an outbox that its topic does not take: it is set aside, and what stands behind it goes on. */
export class OutboxRowRefusedError extends MillraceError<
  'OUTBOX_ROW_REFUSED',
  { readonly table: string; readonly id: string; readonly topic: string }
> {
  constructor(table: string, id: string, topic: string, options?: ErrorOptions) {
    super(
      {
        code: 'OUTBOX_ROW_REFUSED',
        problem: `Row ${id} of ${table} cannot be published to topic "${topic}".`,
        remedy:
          'It was set aside, with the reason in its column `refusal`. Correct it and set that to NULL, or delete the row.',
        details: { table, id, topic },
      },
      options,
    )
  }
}

/** A topic of rows in an outbox is not there, and the relay may not create it: they wait, and all others go on. */
export class OutboxTopicMissingError extends MillraceError<
  'OUTBOX_TOPIC_MISSING',
  { readonly table: string; readonly topic: string }
> {
  constructor(table: string, topic: string) {
    super({
      code: 'OUTBOX_TOPIC_MISSING',
      problem: `${table} has rows for topic "${topic}", which is not there.`,
      remedy:
        'They wait, and those of other topics go on. Create the topic, or let the relay do so (createTopics), or correct the rows; nothing else has to be done.',
      details: { table, topic },
    })
  }
}

/** What is wrong with options that are no object at all. */
export function objectProblems(options: unknown): readonly OptionProblem[] {
  return typeof options === 'object' && options !== null ? [] : [{ option: 'options', problem: 'is no object' }]
}

/** All that is wrong with the options of `subject`. */
export function refuseOptions(subject: string, problems: readonly OptionProblem[]): void {
  if (problems.length > 0) throw new OptionsInvalidError(subject, problems)
}
