import { createInterface } from 'node:readline/promises'
import { UnconfirmedError } from './errors.ts'
import type { Invocation } from './session.ts'

/** Options of commands that take something away. */
export interface ConfirmationOptions {
  readonly yes?: boolean
  readonly dryRun?: boolean
}

/**
 * Asks before something is taken away: `--yes` answers, else the person at the terminal does.
 *
 * @param look What shows it without changing anything, where the command has no option for that.
 * @throws UnconfirmedError `CLI_UNCONFIRMED`: nobody is there, or the answer was no.
 */
export async function confirm(
  { options, environment, output }: Invocation<ConfirmationOptions>,
  question: string,
  look = '--dry-run',
): Promise<void> {
  if (options.yes === true) return
  const { stdin, stderr, signal } = environment
  if (stdin.isTTY !== true || stderr.isTTY !== true) {
    output.note(question)
    throw new UnconfirmedError(question, false, look)
  }
  const reader = createInterface({ input: stdin, output: stderr, terminal: false })
  try {
    // Ctrl-D ends the input without an answer.
    const ended = new Promise<undefined>((resolve) => reader.once('close', () => resolve(undefined)))
    const answer = await Promise.race([reader.question(`${question} [y/N] `, { signal }), ended])
    if (answer === undefined) output.aside('\n')
    if (!/^\s*y(es)?\s*$/i.test(answer ?? '')) throw new UnconfirmedError(question, true, look)
  } catch (error) {
    signal.throwIfAborted()
    throw error
  } finally {
    reader.close()
  }
}
