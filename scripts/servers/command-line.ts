import { parseArgs } from 'node:util'
import { MillraceError } from '../../src/kernel/index.ts'
import { ServerUsageError } from './errors.ts'
import { kindOf, type ServerName, serverNames } from './kinds.ts'
import { type ServerStatus, serverStatus, startServer, stopServer } from './server.ts'
import type { Report } from './server-kind.ts'
import { type PlaceOptions, resolveServersRoot } from './server-place.ts'

/** What `npm run servers` was asked to do. */
export interface ServersCommand {
  readonly verb: 'up' | 'down' | 'status'
  readonly names: readonly ServerName[]
  /** Only for those servers that can have so many; undefined: one. */
  readonly nodeCount: number | undefined
  readonly portBase: number | undefined
  readonly json: boolean
  readonly deleteData: boolean
}

export const usage: string = `npm run servers -- up|down|status [${serverNames.join('] [')}] [options]

Starts real servers on 127.0.0.1, installs them if need be, and finds them again. Without names: all of them.

  up      starts what does not run, waits until it answers, and prints how to connect
  down    stops it; the data stay
  status  tells what runs, and how to connect

  --nodes N       up: so many nodes of Kafka, each broker and controller (default 1)
  --port-base P   first port; another base is another set of servers (default 19000)
  --delete-data   down: removes the data too
  --json          settings and state as JSON on standard output
  --help          this text

Exit codes: 0 done (status: all of them ready), 1 failed, 2 not understood, 3 status: not all of them ready.
`

const verbs = ['up', 'down', 'status'] as const
const exitCodes = { ok: 0, failed: 1, usage: 2, notReady: 3 } as const

function wholeNumber(option: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined
  if (/^\d+$/.test(text)) return Number(text)
  throw new ServerUsageError(`--${option} takes a whole number, not ${JSON.stringify(text)}.`)
}

/** Understands the arguments; `undefined` if they ask for help. Fails with `SERVER_USAGE`. */
export function parseServersCommand(args: readonly string[]): ServersCommand | undefined {
  const options = {
    nodes: { type: 'string' },
    'port-base': { type: 'string' },
    'delete-data': { type: 'boolean' },
    json: { type: 'boolean' },
    help: { type: 'boolean', short: 'h' },
  } as const
  let parsed: ReturnType<typeof parseArgs<{ args: string[]; options: typeof options; allowPositionals: true }>>
  try {
    parsed = parseArgs({ args: [...args], options, allowPositionals: true })
  } catch (error) {
    throw new ServerUsageError(`${(error as Error).message.split('. ')[0]}.`)
  }
  const { values, positionals } = parsed
  if (values.help === true) return undefined
  const [first, ...rest] = positionals
  const verb = verbs.find((known) => known === first)
  if (verb === undefined)
    throw new ServerUsageError(`${first === undefined ? 'Nothing' : first} is not one of ${verbs.join(', ')}.`)
  const names = rest.map((name) => {
    const known = serverNames.find((server) => server === name)
    if (known === undefined)
      throw new ServerUsageError(`There is no server ${name}; there are ${serverNames.join(', ')}.`)
    return known
  })
  if (values.nodes !== undefined && verb !== 'up') throw new ServerUsageError(`--nodes is for up, not for ${verb}.`)
  if (values['delete-data'] === true && verb !== 'down')
    throw new ServerUsageError(`--delete-data is for down, not for ${verb}.`)
  return {
    verb,
    names: names.length === 0 ? serverNames : [...new Set(names)],
    nodeCount: wholeNumber('nodes', values.nodes),
    portBase: wholeNumber('port-base', values['port-base']),
    json: values.json === true,
    deleteData: values['delete-data'] === true,
  }
}

/** What a person reads of a server. */
export function statusText(status: ServerStatus<object>): string {
  const nodes = status.nodes.map(({ number, state, pid, logPath }) => {
    const process = pid === undefined ? state : `${state} as process ${pid}`
    return `  node ${number}         ${process}, log ${logPath}\n`
  })
  const { connection } = status
  const lines = connection === undefined ? [] : kindOf(status.name).describe(connection)
  return `${status.name}: ${status.state}\n${nodes.join('')}${lines.map((line) => `  ${line}\n`).join('')}`
}

/** An error as people read it: the sentences, then what a log or a tool said. */
export function errorText(error: unknown): string {
  if (!(error instanceof MillraceError)) return `${error instanceof Error ? error.stack : String(error)}\n`
  const details: { readonly output?: unknown; readonly logTail?: unknown } = error.details
  const evidence = [details.output, details.logTail].filter(
    (text): text is string => typeof text === 'string' && text !== '',
  )
  const cause = error.cause instanceof Error ? `  Because: ${error.cause.message}\n` : ''
  const quoted = evidence.map((text) => `\n${text}\n`).join('')
  return `${error.problem}\n  ${error.remedy}\n${cause}${quoted}`
}

async function upOne(name: ServerName, command: ServersCommand, place: PlaceOptions): Promise<void> {
  const startedMs = performance.now()
  const report: Report = (line) => process.stderr.write(`${name}: ${line}\n`)
  // `--nodes 3` is for the servers that can have them; the others are started as they are.
  const nodeCount = kindOf(name).nodeCountMax === 1 ? undefined : command.nodeCount
  await startServer(name, { ...place, report, ...(nodeCount === undefined ? {} : { nodeCount }) })
  report(`ready after ${((performance.now() - startedMs) / 1000).toFixed(1)} s`)
}

async function downOne(name: ServerName, command: ServersCommand, place: PlaceOptions): Promise<void> {
  const report: Report = (line) => process.stderr.write(`${name}: ${line}\n`)
  const stoppedCount = await stopServer(name, { ...place, report, deleteData: command.deleteData })
  if (stoppedCount === 0) report('does not run')
}

/** Runs one command and answers with its exit code. */
export async function runServers(args: readonly string[]): Promise<number> {
  let command: ServersCommand | undefined
  let place: PlaceOptions = {}
  try {
    command = parseServersCommand(args)
    if (command?.portBase !== undefined) place = { portBase: command.portBase }
    if (command !== undefined) resolveServersRoot(place)
  } catch (error) {
    process.stderr.write(`${errorText(error)}\n${usage}`)
    return exitCodes.usage
  }
  if (command === undefined) {
    process.stdout.write(usage)
    return exitCodes.ok
  }
  const { verb, names, json } = command
  const act = { up: upOne, down: downOne, status: undefined }[verb]
  const results = await Promise.allSettled(names.map(async (name) => act?.(name, command, place)))
  const errors = results.filter((result) => result.status === 'rejected').map(({ reason }) => reason as unknown)
  for (const error of errors) process.stderr.write(`\n${errorText(error)}`)
  if (errors.some((error) => error instanceof ServerUsageError)) return exitCodes.usage
  if (verb !== 'down') {
    const found = await Promise.all(names.map((name) => serverStatus(name, place)))
    const text = json
      ? `${JSON.stringify(Object.fromEntries(found.map(({ name, ...rest }) => [name, rest])), undefined, 2)}\n`
      : found.map(statusText).join('\n')
    process.stdout.write(text)
    if (verb === 'status' && found.some(({ state }) => state !== 'ready')) return exitCodes.notReady
  }
  return errors.length === 0 ? exitCodes.ok : exitCodes.failed
}
