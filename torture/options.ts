import { Command, InvalidArgumentError, Option } from 'commander'

/** What the command line asks for. */
export interface TortureOptions {
  /** Of all kinds together. */
  readonly minutes: number | undefined
  /** The small set, or the large one; `undefined`: whatever fits the time. */
  readonly set: 'quick' | 'full' | undefined
  readonly only: readonly string[]
  /** Of each kind. */
  readonly cases: number | undefined
  readonly seed: number | undefined
  readonly stopsAtFirst: boolean
  /** Folder in which the files lie while they are tortured; `undefined`: a disk of memory, where there is one. */
  readonly folder: string | undefined
  readonly json: boolean
}

/**
 * Options of the command line. Prints help, or what is wrong, and ends the process where there is nothing to run.
 *
 * @param kindNames What `--only` may name.
 */
export function parseOptions(args: readonly string[], kindNames: readonly string[]): TortureOptions {
  const kind = (name: string, before: readonly string[] = []): readonly string[] => {
    if (kindNames.includes(name)) return [...before, name]
    throw new InvalidArgumentError(`There are: ${kindNames.join(', ')}.`)
  }
  const command = new Command('npm run torture --')
    .description('Attacks the embedded engine with real processes, disks and files, and says what it took.')
    .addOption(new Option('--minutes <n>', 'time for all kinds together (default: 10)').argParser(time))
    .addOption(new Option('--quick', 'the small set that CI runs, whatever its time').conflicts('full'))
    .addOption(new Option('--full', 'the large set, which takes hours'))
    .addOption(new Option('--only <kind>', `one kind; may be repeated: ${kindNames.join(', ')}`).argParser(kind))
    .addOption(new Option('--cases <n>', 'so many cases of each kind').argParser(count))
    .addOption(new Option('--seed <n>', 'does the same again (default: one at random)').argParser(count))
    .addOption(new Option('--folder <path>', 'where the files lie, on a disk of your choice (default: /dev/shm)'))
    .addOption(new Option('--stop-at-first', 'ends each kind with its first failure'))
    .addOption(new Option('--json', 'prints one JSON object, and the progress on stderr'))
    .allowExcessArguments(false)
    .showHelpAfterError('Add --help for the options.')
  const values = command.parse(args, { from: 'user' }).opts()
  return {
    minutes: values['minutes'] as number | undefined,
    set: values['full'] === true ? 'full' : values['quick'] === true ? 'quick' : undefined,
    only: (values['only'] as readonly string[] | undefined) ?? [],
    cases: values['cases'] as number | undefined,
    seed: values['seed'] as number | undefined,
    folder: values['folder'] as string | undefined,
    stopsAtFirst: values['stopAtFirst'] === true,
    json: values['json'] === true,
  }
}

function time(text: string): number {
  const minutes = Number(text)
  if (text !== '' && minutes > 0 && Number.isFinite(minutes)) return minutes
  throw new InvalidArgumentError('Give a number of minutes above 0.')
}

function count(text: string): number {
  const number = Number(text)
  if (text !== '' && Number.isSafeInteger(number) && number >= 0) return number
  throw new InvalidArgumentError('Give a whole number from 0.')
}
