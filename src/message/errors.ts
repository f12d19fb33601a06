import { MillraceError } from '../kernel/index.ts'

/** One finding of a schema: where, and what. */
export interface DataIssue {
  /** Such as `data.lines[2].price`. */
  readonly path: string
  readonly message: string
}

/** Data that does not fit the schema of its definition. */
export class DataInvalidError extends MillraceError<
  'DATA_INVALID',
  { readonly type: string; readonly version: number; readonly issues: readonly DataIssue[] }
> {
  constructor(type: string, version: number, issues: readonly DataIssue[]) {
    super({
      code: 'DATA_INVALID',
      problem: `The data of ${type} (version ${version}) does not fit its schema: ${issuesText(issues)}.`,
      remedy: 'Correct the data, or give the definition a new version with a schema that allows it.',
      details: { type, version, issues },
    })
  }
}

/** Findings that a message shows; `details.issues` has them all. A list of 100,000 wrong items has as many findings. */
const shownIssuesMax = 10

function issuesText(issues: readonly DataIssue[]): string {
  const shown = issues.slice(0, shownIssuesMax).map((issue) => `${issue.path}: ${issue.message}`)
  if (issues.length > shownIssuesMax) shown.push(`and ${issues.length - shownIssuesMax} more`)
  return shown.join('; ')
}

/** A schema that only answers later. */
export class SchemaAsyncError extends MillraceError<'SCHEMA_ASYNC', { readonly subject: string }> {
  /** @param subject Whose schema it is: a type of message, or what else a validator was given for. */
  constructor(subject: string) {
    super({
      code: 'SCHEMA_ASYNC',
      problem: `The schema of ${subject} answers with a promise, and Millrace validates at once.`,
      remedy:
        'Take asynchronous checks out of the schema and do them in the handler. Some validators also answer so when one of their checks throws.',
      details: { subject },
    })
  }
}

/** An attribute of the envelope that CloudEvents does not allow. */
export class AttributeInvalidError extends MillraceError<
  'ATTRIBUTE_INVALID',
  { readonly type: string; readonly attribute: string; readonly reason: string }
> {
  constructor(type: string, attribute: string, reason: string) {
    super({
      code: 'ATTRIBUTE_INVALID',
      problem: `The attribute ${attribute} of ${type} ${reason}.`,
      remedy: 'Give a value that CloudEvents 1.0 allows for it, or leave it out.',
      details: { type, attribute, reason },
    })
  }
}

interface ReadDetails {
  readonly type: string
  readonly messageId: string
  /** Version that the message was written by. */
  readonly version: number
  /** Version of the definition. */
  readonly currentVersion: number
}

/** A message read by the definition of another type. */
export class TypeMismatchError extends MillraceError<
  'TYPE_MISMATCH',
  { readonly type: string; readonly messageType: string; readonly messageId: string }
> {
  constructor(type: string, messageType: string, messageId: string) {
    super({
      code: 'TYPE_MISMATCH',
      problem: `Message ${messageId} is a ${messageType}, not a ${type}.`,
      remedy: 'Read it by its own definition.',
      details: { type, messageType, messageId },
    })
  }
}

/** A message written by a version that this program does not know yet. */
export class VersionUnknownError extends MillraceError<'VERSION_UNKNOWN', ReadDetails> {
  constructor(details: ReadDetails) {
    super({
      code: 'VERSION_UNKNOWN',
      problem: `Message ${details.messageId} is a ${details.type} of version ${details.version}; this program knows versions up to ${details.currentVersion}.`,
      remedy: 'Deploy the program that knows this version, then redrive the message.',
      details,
    })
  }
}

/** A message written by an old version from which no upcast leads to the current one. */
export class UpcastMissingError extends MillraceError<'UPCAST_MISSING', ReadDetails> {
  constructor(details: ReadDetails) {
    super({
      code: 'UPCAST_MISSING',
      problem: `Message ${details.messageId} is a ${details.type} of version ${details.version}, and no upcast leads from there to version ${details.currentVersion}.`,
      remedy: `Give the definition an upcast that begins at version ${details.version}, then redrive the message.`,
      details,
    })
  }
}

/** An upcast that threw, or whose result does not fit the schema. The `cause` tells why. */
export class UpcastFailedError extends MillraceError<'UPCAST_FAILED', ReadDetails & { readonly failedAt: number }> {
  /** `failedAt` is the version from which the failed step leads; the current version if the final check failed. */
  constructor(details: ReadDetails, failedAt: number, cause: unknown) {
    const why = cause instanceof MillraceError ? cause.problem.replace(/\.$/, '') : causeText(cause)
    const what =
      failedAt === details.currentVersion
        ? `its result was refused: ${why}`
        : `the step from version ${failedAt} failed: ${why}`
    super(
      {
        code: 'UPCAST_FAILED',
        problem: `Message ${details.messageId}, a ${details.type} of version ${details.version}, could not be upcast to version ${details.currentVersion}: ${what}.`,
        remedy: 'Correct the upcast for data like this, then redrive the message.',
        details: { ...details, failedAt },
      },
      { cause },
    )
  }
}

function causeText(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause)
}

/** Why bytes or headers are no CloudEvents message. Returned by the decoders, never thrown by them. */
export class MessageUndecodableError extends MillraceError<
  'MESSAGE_UNDECODABLE',
  { readonly place: string; readonly reason: string }
> {
  /** `place` is an attribute, a header, `data`, `value`, `body` or a record batch. */
  constructor(place: string, reason: string, options?: ErrorOptions) {
    super(
      {
        code: 'MESSAGE_UNDECODABLE',
        problem: `This is no CloudEvents message: ${place} ${reason}.`,
        remedy: 'Have its producer send CloudEvents 1.0, or consume the topic as raw records.',
        details: { place, reason },
      },
      options,
    )
  }
}
