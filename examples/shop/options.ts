import { statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type OptionProblem, OptionsInvalidError } from '../../src/kernel/index.ts'
import { type DeploymentName, deploymentNames } from './deployments.ts'
import { type SagaKind, sagaKinds } from './saga-kind.ts'

/** What the command line asks for. */
export interface ShopOptions {
  readonly help: boolean
  /** Process everything as fast as possible, print the figures, end. */
  readonly once: boolean
  /** Print the figures as one JSON object. */
  readonly json: boolean
  /** Orders file, as a full path. */
  readonly orders: string
  /** Folder of the data, as a full path; `null`: a fresh one that is removed in the end. */
  readonly data: string | null
  /** Remove what earlier runs left there. */
  readonly afresh: boolean
  /** Pieces of every article at the start; `null`: they never run out. */
  readonly stock: number | null
  /** Share of orders whose payment is declined, 0 to 1. */
  readonly decline: number
  /** Share of gateway calls that time out, 0 to 1. */
  readonly flaky: number
  /** How often the orders file is gone through. */
  readonly repeat: number
  /** Invoices a second; `null`: as fast as possible. */
  readonly speed: number | null
  /** What it runs on. */
  readonly deployment: DeploymentName
  /** Who leads an order to its end. */
  readonly saga: SagaKind
  /** Processes that work. */
  readonly workers: number
}

/** Invoices a second, unless `--speed` or `--once` says otherwise. */
const defaultSpeed = 10

/** What `--help` prints. */
export const usage = `Runs a shop of five services on real invoices.

Usage: npm start -- [options]

  --once          process everything as fast as possible, print the figures and end
  --json          print the figures as one JSON object on stdout, everything else on stderr
  --orders FILE   invoices as CSV (default: the bundled ones)
  --data DIR      keep the data here and go on where they stand
                  (default: .data/shop; with --once a fresh folder that is removed)
  --afresh        remove what earlier runs left there, on servers too, and begin again
  --stock N       pieces of every article at the start (default: they never run out)
  --decline P     share of orders, 0 to 1, whose payment is declined (default: 0)
  --flaky P       share of calls to the payment gateway, 0 to 1, that time out (default: 0)
  --repeat N      go through the file N times, with fresh order numbers (default: 1)
  --speed N       invoices a second (default: ${defaultSpeed}; with --once as fast as possible)
  --saga KIND     who leads an order to its end: choreography (each service does its part) or
                  orchestration (a saga conducts; not on kafka alone, which keeps no timers)
                  (default: choreography); the figures are the same
  --deployment D  what it runs on: ${deploymentNames.join(', ')} (default: embedded);
                  PostgreSQL is where DATABASE_URL says, Kafka where KAFKA_BROKERS says
  --workers N     processes that share the work (default: 1); not where a file is part of it
  -h, --help      print this

Exit codes: 0 done, 1 failed, 2 options that cannot be used, 130 stopped with Ctrl-C before --once was done.
`

const flags = ['once', 'json', 'afresh', 'help'] as const
const values = [
  'orders',
  'data',
  'stock',
  'decline',
  'flaky',
  'repeat',
  'speed',
  'saga',
  'deployment',
  'workers',
] as const
type ValueName = (typeof values)[number]

/**
 * Reads the command line.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming everything that is wrong with it.
 */
export function parseOptions(args: readonly string[], cwd: string): ShopOptions {
  const problems: OptionProblem[] = []
  const { set, texts } = readArguments(args, problems)
  const number = (name: ValueName, accepts: (value: number) => boolean, wanted: string): number | undefined => {
    const text = texts.get(name)
    if (text === undefined) return undefined
    const value = /^(\d+(\.\d+)?|\.\d+)$/.test(text) ? Number(text) : Number.NaN
    if (!accepts(value)) problems.push({ option: `--${name}`, problem: `is ${JSON.stringify(text)}, not ${wanted}` })
    return value
  }
  const isShare = (value: number): boolean => value >= 0 && value <= 1
  const isCount = (value: number): boolean => Number.isSafeInteger(value) && value <= 1_000_000_000
  const stock = number('stock', isCount, 'a whole number from 0 to 1,000,000,000')
  const decline = number('decline', isShare, 'a share from 0 to 1')
  const flaky = number('flaky', isShare, 'a share from 0 to 1')
  const repeat = number('repeat', (n) => isCount(n) && n >= 1 && n <= 1_000_000, 'a whole number from 1 to 1,000,000')
  const speed = number('speed', (n) => n > 0 && n <= 1_000_000, 'a number above 0, at most 1,000,000')
  const workers = number('workers', (n) => isCount(n) && n >= 1 && n <= 64, 'a whole number from 1 to 64') ?? 1
  const orders = resolve(cwd, texts.get('orders') ?? join(import.meta.dirname, 'data', 'online-retail.csv'))
  const obstacle = obstacleOf(orders)
  if (obstacle !== undefined) {
    problems.push({ option: '--orders', problem: `names ${JSON.stringify(orders)}, which ${obstacle}` })
  }
  const choice = <const Name extends string>(name: ValueName, names: readonly [Name, ...Name[]]): Name | undefined => {
    const text = texts.get(name) ?? names[0]
    if (isOneOf(names, text)) return text
    problems.push({ option: `--${name}`, problem: `is ${JSON.stringify(text)}, not ${names.join(', ')}` })
    return undefined
  }
  const deployment = choice('deployment', deploymentNames)
  const saga = choice('saga', sagaKinds)
  if (workers > 1 && deployment?.includes('embedded') === true) {
    const problem = `is ${workers}, but ${deployment} keeps things in a file, which belongs to one process`
    problems.push({ option: '--workers', problem })
  }
  const once = set.has('once')
  const data = texts.get('data') ?? (once ? undefined : join('.data', 'shop'))
  const help = set.has('help')
  if (problems.length > 0 && !help) throw new OptionsInvalidError('the shop', problems)
  return {
    help,
    once,
    json: set.has('json'),
    orders,
    data: data === undefined ? null : resolve(cwd, data),
    afresh: set.has('afresh'),
    stock: stock ?? null,
    decline: decline ?? 0,
    flaky: flaky ?? 0,
    repeat: repeat ?? 1,
    speed: speed ?? (once ? null : defaultSpeed),
    deployment: deployment ?? 'embedded',
    saga: saga ?? 'choreography',
    workers,
  }
}

/** Why a path cannot be an orders file; whether what it holds is one, only reading tells. */
function obstacleOf(path: string): string | undefined {
  try {
    const stats = statSync(path)
    if (stats.isFile()) return undefined
    return stats.isDirectory() ? 'is a folder' : 'is no file that can be read twice, as it has to be'
  } catch (error) {
    const { code, message } = error as NodeJS.ErrnoException
    return code === 'ENOENT' || code === 'ENOTDIR' ? 'is not there' : `cannot be reached (${message})`
  }
}

/** What was given, without a look at what the values mean. */
function readArguments(
  args: readonly string[],
  problems: OptionProblem[],
): { readonly set: ReadonlySet<string>; readonly texts: ReadonlyMap<ValueName, string> } {
  const options = Object.fromEntries([
    ...flags.map((name) => [name, { type: 'boolean' as const, ...(name === 'help' && { short: 'h' }) }]),
    ...values.map((name) => [name, { type: 'string' as const }]),
  ])
  // parseArgs would take the next option for the value that is missing: `--stock --decline 0.2`.
  const parted = args.map((arg, index) => {
    const lacksValue = values.some((name) => arg === `--${name}`) && args[index + 1]?.startsWith('--') === true
    return lacksValue ? `${arg}=` : arg
  })
  // Not strict: parseArgs would stop at the first problem.
  const { tokens } = parseArgs({ args: parted, options, strict: false, allowPositionals: true, tokens: true })
  const set = new Set<string>()
  const texts = new Map<ValueName, string>()
  for (const token of tokens) {
    if (token.kind === 'option-terminator') continue
    if (token.kind === 'positional') {
      problems.push({ option: JSON.stringify(token.value), problem: 'is no option' })
      continue
    }
    const { name, rawName, value } = token
    if (isOneOf(flags, name)) {
      if (value !== undefined) problems.push({ option: rawName, problem: 'takes no value' })
      set.add(name)
    } else if (isOneOf(values, name)) {
      if (value === undefined || value === '') problems.push({ option: rawName, problem: 'needs a value' })
      else if (texts.has(name)) problems.push({ option: rawName, problem: 'is given twice' })
      else texts.set(name, value)
    } else {
      problems.push({ option: rawName, problem: 'is unknown' })
    }
  }
  return { set, texts }
}

function isOneOf<const Name extends string>(names: readonly Name[], name: string): name is Name {
  return (names as readonly string[]).includes(name)
}
