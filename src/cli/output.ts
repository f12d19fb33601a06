import { styleText } from 'node:util'
import type { CliEnvironment, OutputStream } from './environment.ts'
import { clipped, columnsOf } from './text.ts'

/** How text may be emphasised. */
export type Style = 'bold' | 'dim' | 'red' | 'yellow' | 'green' | 'cyan'

/** A column of a table. */
export interface Column {
  readonly title: string
  /** Numbers stand to the right. Default `'left'`. */
  readonly align?: 'left' | 'right'
}

/** Options that decide how output looks. */
export interface OutputOptions {
  readonly json: boolean
  /** `false` for `--no-color`. */
  readonly color: boolean
}

/** Where one command writes: data to stdout, everything else to stderr. */
export class Output {
  /** Data are JSON. */
  readonly isJson: boolean
  readonly isTerminal: boolean
  readonly stderrIsTerminal: boolean
  readonly #stdout: OutputStream
  readonly #stderr: OutputStream
  readonly #signal: AbortSignal
  readonly #dataHasColors: boolean
  readonly #notesHaveColors: boolean

  constructor(environment: CliEnvironment, options: OutputOptions) {
    const { stdout, stderr } = environment
    this.#stdout = stdout
    this.#stderr = stderr
    this.#signal = environment.signal
    this.isJson = options.json
    this.isTerminal = stdout.isTTY === true
    this.stderrIsTerminal = stderr.isTTY === true
    this.#dataHasColors = !options.json && hasColors(environment, stdout, options.color)
    this.#notesHaveColors = hasColors(environment, stderr, options.color)
  }

  /** Columns of the terminal that shows the data; undefined if none does. */
  get columns(): number | undefined {
    // A terminal that does not know its size says 0.
    return this.isTerminal ? this.#stdout.columns || undefined : undefined
  }

  get rows(): number | undefined {
    return this.isTerminal ? this.#stdout.rows || undefined : undefined
  }

  /** Emphasises a part of the data, where that is wanted. */
  styled(style: Style, text: string): string {
    return this.#dataHasColors ? styleText(style, text, { validateStream: false }) : text
  }

  /** Writes data as they stand; resolves when there is room for more, so that a slow reader slows the command down. */
  async write(text: string): Promise<void> {
    this.#signal.throwIfAborted()
    if (this.#stdout.write(text)) return
    await new Promise<void>((resolve) => {
      const done = (): void => {
        this.#stdout.off('drain', done)
        this.#signal.removeEventListener('abort', done)
        resolve()
      }
      this.#stdout.once('drain', done)
      this.#signal.addEventListener('abort', done, { once: true })
    })
  }

  /** Writes data that change all the time, without waiting; also while the command stops. */
  picture(text: string): void {
    this.#stdout.write(text)
  }

  line(text: string): Promise<void> {
    return this.write(`${text}\n`)
  }

  /** One JSON document, indented. */
  document(value: unknown): Promise<void> {
    return this.write(`${JSON.stringify(value, null, 2)}\n`)
  }

  /** One line of JSON, of a stream of them. */
  jsonLine(value: unknown): Promise<void> {
    return this.write(`${JSON.stringify(value)}\n`)
  }

  /** A table with a line of titles; in a terminal its lines are cut to fit. */
  async table(columns: readonly Column[], rows: readonly (readonly string[])[]): Promise<void> {
    const titles = columns.map((column) => column.title)
    const widths = titles.map((title, index) =>
      [title, ...rows.map((row) => row[index] ?? '')].reduce((most, cell) => Math.max(most, columnsOf(cell)), 0),
    )
    const asLine = (cells: readonly string[]): string =>
      this.#fitted(
        cells
          .map((cell, index) => padded(cell, widths[index] ?? 0, columns[index]?.align))
          .join('  ')
          .trimEnd(),
      )
    await this.line(this.styled('bold', asLine(titles)))
    for (const row of rows) await this.line(asLine(row))
  }

  /** Names and values, one pair a line. */
  async fields(pairs: readonly (readonly [name: string, value: string])[]): Promise<void> {
    const width = pairs.reduce((most, [name]) => Math.max(most, columnsOf(name)), 0)
    for (const [name, value] of pairs) await this.line(`${this.styled('bold', padded(name, width))}  ${value}`)
  }

  /** Tells people something that is no data. */
  note(text: string): void {
    this.#stderr.write(`${text}\n`)
  }

  /** Writes to stderr as it stands: for progress and questions. */
  aside(text: string): void {
    this.#stderr.write(text)
  }

  /** Emphasises a part of a note, where that is wanted. */
  styledNote(style: Style, text: string): string {
    return this.#notesHaveColors ? styleText(style, text, { validateStream: false }) : text
  }

  #fitted(line: string): string {
    const columns = this.columns
    return columns === undefined || columnsOf(line) <= columns ? line : clipped(line, columns)
  }
}

function padded(text: string, width: number, align: Column['align'] = 'left'): string {
  const gap = ' '.repeat(Math.max(0, width - columnsOf(text)))
  return align === 'right' ? gap + text : text + gap
}

/**
 * Colours are for terminals. `--no-color` wins, then `FORCE_COLOR` (`0` and `false` mean no), then `NO_COLOR`
 * (no-color.org), then `TERM=dumb`.
 */
export function hasColors(environment: CliEnvironment, stream: OutputStream, allowed: boolean): boolean {
  const { FORCE_COLOR: forced, NO_COLOR: refused, TERM: terminal } = environment.env
  if (!allowed) return false
  if (forced !== undefined && forced !== '') return forced !== '0' && forced !== 'false'
  if (refused !== undefined && refused !== '') return false
  return stream.isTTY === true && terminal !== 'dumb'
}
