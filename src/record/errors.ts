import { MillraceError } from '../kernel/index.ts'

/** What is wrong with a damaged batch, for programs. */
export type BatchDamage =
  | 'truncated'
  | 'length'
  | 'magic'
  | 'checksum'
  | 'header'
  | 'record-count'
  | 'record'
  | 'compression'

/** Bytes that are no whole record batch: cut short, altered, or never one. */
export class RecordBatchDamagedError extends MillraceError<
  'RECORD_BATCH_DAMAGED',
  { readonly damage: BatchDamage; readonly atByte: number }
> {
  /** @param atByte Where in the batch (in its decompressed records, if it is compressed) the damage was met. */
  constructor(damage: BatchDamage, atByte: number, finding: string, options?: ErrorOptions) {
    super(
      {
        code: 'RECORD_BATCH_DAMAGED',
        problem: `A record batch is damaged at byte ${atByte}: ${finding}.`,
        remedy: 'Restore the file from a backup, or fetch the batch again from where it came.',
        details: { damage, atByte },
      },
      options,
    )
  }
}

/** A batch that is whole, but of a kind that Millrace does not read or write. */
export class RecordBatchUnsupportedError extends MillraceError<
  'RECORD_BATCH_UNSUPPORTED',
  { readonly feature: string }
> {
  constructor(feature: string, remedy: string) {
    super({
      code: 'RECORD_BATCH_UNSUPPORTED',
      problem: `A record batch uses ${feature}, which Millrace does not support.`,
      remedy,
      details: { feature },
    })
  }
}

/** A compressed batch that would grow beyond the bound when it is decompressed. */
export class DecompressedTooLargeError extends MillraceError<
  'DECOMPRESSED_TOO_LARGE',
  { readonly decompressedBytesMax: number }
> {
  constructor(decompressedBytesMax: number, options?: ErrorOptions) {
    super(
      {
        code: 'DECOMPRESSED_TOO_LARGE',
        problem: `A compressed record batch holds more than ${decompressedBytesMax} bytes.`,
        remedy: 'Raise decompressedBytesMax if you trust the sender; otherwise treat the batch as an attack.',
        details: { decompressedBytesMax },
      },
      options,
    )
  }
}

/** A record larger than its topic takes. Nothing of it was written. */
export class RecordTooLargeError extends MillraceError<
  'RECORD_TOO_LARGE',
  { readonly recordBytes: number; readonly recordBytesMax: number }
> {
  /** @param recordBytes The record's size, or the least that it would have been. */
  constructor(recordBytes: number, recordBytesMax: number) {
    super({
      code: 'RECORD_TOO_LARGE',
      problem: `A record of at least ${recordBytes} bytes is larger than the ${recordBytesMax} bytes that are allowed.`,
      remedy:
        'Carry a reference to the data instead of the data. A topic takes up to 64 MiB when its recordBytesMax is raised; the event store does not.',
      details: { recordBytes, recordBytesMax },
    })
  }
}

/** An argument that no record, batch or partition can have. Nothing was written. */
export class RecordArgumentInvalidError extends MillraceError<
  'RECORD_ARGUMENT_INVALID',
  { readonly argument: string }
> {
  constructor(argument: string, problem: string, remedy: string) {
    super({
      code: 'RECORD_ARGUMENT_INVALID',
      problem: `${argument} ${problem}.`,
      remedy,
      details: { argument },
    })
  }
}
