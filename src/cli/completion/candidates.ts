import type { Argument, Command, Option } from 'commander'

/** Something that the word under the cursor could become. */
export interface Candidate {
  readonly value: string
  readonly description: string
}

/** What a shell shall offer. */
export interface Completion {
  readonly candidates: readonly Candidate[]
  /** The word is a path: the shell knows them better. */
  readonly isPath: boolean
}

/** Kinds of names that only the file knows. */
export type NameKind = 'topic' | 'group' | 'view' | 'stream' | 'dead letter' | 'app' | 'saga' | 'choreography'

/** Looks names up that begin with a text. It answers with none rather than failing. */
export type LookUp = (kind: NameKind, prefix: string) => Promise<readonly string[]>

const nothing: Completion = { candidates: [], isPath: false }
const path: Completion = { candidates: [], isPath: true }

const kindByArgument: Readonly<Record<string, NameKind>> = {
  topic: 'topic',
  topics: 'topic',
  group: 'group',
  groups: 'group',
  view: 'view',
  stream: 'stream',
  id: 'dead letter',
  ids: 'dead letter',
}
const kindByOption: Readonly<Record<string, NameKind>> = {
  '--topic': 'topic',
  '--handler': 'group',
  '--app': 'app',
  '--saga': 'saga',
  '--choreography': 'choreography',
}
const pathArguments = new Set(['app', 'to'])
const pathOptions = new Set(['--file', '--deployment', '--input', '--data'])
const positionExamples = ['earliest', 'latest', '@-1h', '@-1d']

/**
 * What the last of the words on a command line, behind the name of the program, could become.
 *
 * @param words As the shell split them; the last is the one under the cursor and may be empty.
 */
export async function complete(program: Command, words: readonly string[], lookUp: LookUp): Promise<Completion> {
  const current = words.at(-1) ?? ''
  const { command, argumentCount, open } = walk(program, words.slice(0, -1))
  if (open !== undefined) return valuesOf(open, current, '', lookUp)
  const equals = current.startsWith('--') ? current.indexOf('=') : -1
  if (equals > 0) {
    const option = optionsOf(command).find(({ long }) => long === current.slice(0, equals))
    const lead = current.slice(0, equals + 1)
    return option === undefined ? nothing : valuesOf(option, current.slice(equals + 1), lead, lookUp)
  }
  if (current.startsWith('-')) return { candidates: optionCandidates(command, current), isPath: false }
  if (command.commands.length > 0) return { candidates: commandCandidates(command, current), isPath: false }
  const argument = argumentAt(command, argumentCount)
  return argument === undefined ? nothing : argumentValues(argument, current, lookUp)
}

interface Walk {
  readonly command: Command
  /** Arguments of the command before the cursor. */
  readonly argumentCount: number
  /** The option whose value is under the cursor. */
  readonly open: Option | undefined
}

function walk(program: Command, words: readonly string[]): Walk {
  let command = program
  let argumentCount = 0
  let open: Option | undefined
  for (const word of words) {
    if (open !== undefined) {
      open = undefined
      continue
    }
    if (word.startsWith('-') && word !== '-') {
      const option = optionsOf(command).find(({ long, short }) => word === long || word === short)
      open = option !== undefined && (option.required || option.optional) ? option : undefined
      continue
    }
    const next = argumentCount === 0 ? command.commands.find((one) => one.name() === word) : undefined
    if (next === undefined) argumentCount++
    else command = next
  }
  return { command, argumentCount, open }
}

/** Options of a command and of all above it. */
function optionsOf(command: Command): readonly Option[] {
  const help = command.createHelp()
  const own = help.visibleOptions(command)
  return command.parent === null ? own : [...own, ...help.visibleGlobalOptions(command), ...optionsAbove(command)]
}

function optionsAbove({ parent }: Command): readonly Option[] {
  return parent === null ? [] : [...parent.options, ...optionsAbove(parent)]
}

function optionCandidates(command: Command, current: string): readonly Candidate[] {
  const seen = new Map<string, Candidate>()
  for (const { long, short, description } of optionsOf(command)) {
    const value = current.startsWith('--') || current === '-' ? (long ?? short) : (short ?? long)
    if (value?.startsWith(current) === true) seen.set(value, { value, description: firstSentence(description) })
  }
  return [...seen.values()]
}

function commandCandidates(command: Command, current: string): readonly Candidate[] {
  return command
    .createHelp()
    .visibleCommands(command)
    .filter((one) => one.name().startsWith(current))
    .map((one) => ({ value: one.name(), description: firstSentence(one.description()) }))
}

function argumentAt(command: Command, index: number): Argument | undefined {
  const { registeredArguments: all } = command
  const last = all.at(-1)
  return all[index] ?? (last?.variadic === true ? last : undefined)
}

async function valuesOf(option: Option, current: string, lead: string, lookUp: LookUp): Promise<Completion> {
  const long = option.long ?? ''
  if (pathOptions.has(long)) return path
  const kind = kindByOption[long]
  const isPosition = ['--from', '--until', '--to'].includes(long) && option.flags.includes('<position>')
  const values =
    option.argChoices ?? (kind !== undefined ? await lookUp(kind, current) : isPosition ? positionExamples : [])
  return { candidates: candidatesOf(values, current, lead), isPath: false }
}

async function argumentValues(argument: Argument, current: string, lookUp: LookUp): Promise<Completion> {
  const name = argument.name()
  if (pathArguments.has(name)) return path
  const kind = kindByArgument[name]
  const values = argument.argChoices ?? (kind === undefined ? [] : await lookUp(kind, current))
  return { candidates: candidatesOf(values, current, ''), isPath: false }
}

function candidatesOf(values: readonly string[], current: string, lead: string): readonly Candidate[] {
  return values.filter((value) => value.startsWith(current)).map((value) => ({ value: lead + value, description: '' }))
}

/** A shell shows one line. */
function firstSentence(text: string): string {
  return (
    text
      .split('\n')[0]
      ?.replace(/[.:;] .*$/, '')
      .replace(/\.$/, '') ?? ''
  )
}
