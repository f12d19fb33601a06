import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { MillraceError, systemClock } from '../../src/index.ts'
import { OptionsInvalidError } from '../../src/kernel/index.ts'
import { emptyFolder, makeFolder } from './data-folder.ts'
import { groundFor, type ShopGround } from './deployments.ts'
import { DataFolderError } from './errors.ts'
import { parseOptions, type ShopOptions, usage } from './options.ts'
import { reportText } from './report.ts'
import { showRestoring } from './restore-progress.ts'
import { runShop } from './run.ts'

/** Exit codes, as `--help` names them. */
const failed = 1
const badOptions = 2
const interrupted = 130

/** The terminal sends Ctrl-C to all that run in it, and npm then passes it on: what follows so soon is the same one. */
const sameInterruptionMs = 500

/** The data folder, and what happens to it in the end. */
async function openFolder(options: ShopOptions): Promise<{ readonly path: string } & AsyncDisposable> {
  const given = options.data
  if (given !== null) {
    try {
      makeFolder(given)
    } catch (cause) {
      throw new DataFolderError(given, { cause: cause as Error })
    }
    return { path: given, [Symbol.asyncDispose]: () => Promise.resolve() }
  }
  const path = await mkdtemp(join(tmpdir(), 'millrace-shop-'))
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) }
}

const nothing: Promise<void> = Promise.resolve()

async function main(args: readonly string[]): Promise<number> {
  const options = parseOptions(args, process.cwd())
  if (options.help) return print(usage)
  const stop = new AbortController()
  let stoppedAtMs = 0
  const interrupt = (): void => {
    const nowMs = systemClock.monotonicMs()
    // Whoever asks a second time does not want to wait; the data are as safe as after SIGKILL.
    if (stop.signal.aborted && nowMs - stoppedAtMs >= sameInterruptionMs) process.exit(interrupted)
    if (stop.signal.aborted) return
    stoppedAtMs = nowMs
    stop.abort()
  }
  // Nobody looks on any more (`npm start 2>&1 | head`): a shop that shows what it does has no reason to go on.
  const unseen = (): void => {
    if (!options.once) stop.abort()
  }
  process.stderr.on('error', unseen)
  process.on('SIGINT', interrupt)
  process.on('SIGTERM', interrupt)
  try {
    await using folder = await openFolder(options)
    const ground = groundFor(options.deployment, folder.path, process.env)
    if (options.afresh) {
      await ground.remove()
      emptyFolder(folder.path)
    }
    let isReached = false
    // What nobody asked to keep goes with its folder, whatever happens: where a server was not reached there is nothing.
    await using _leftovers = {
      [Symbol.asyncDispose]: () => (options.data === null && isReached ? removeLeftovers(ground) : nothing),
    }
    using _progress = options.once && !process.stderr.isTTY ? undefined : showRestoring(process.stderr, systemClock)
    const outcome = await runShop({
      options,
      folder: folder.path,
      engine: {
        ...ground.engine,
        open: async (environment) => {
          const engine = await ground.engine.open(environment)
          isReached = true
          return engine
        },
      },
      place: ground.place,
      clock: systemClock,
      log: process.stderr,
      signal: stop.signal,
    })
    if (outcome.figures === null) {
      const next =
        options.data === null ? 'With --data it could go on later' : 'Started again with the same options it goes on'
      process.stderr.write(`Stopped before everything was done. ${next}.\n`)
      return interrupted
    }
    const printed = await print(`${options.json ? JSON.stringify(outcome.figures) : reportText(outcome.figures)}\n`)
    for (const broken of outcome.broken) process.stderr.write(`This must not be: ${broken}.\n`)
    return outcome.broken.length > 0 ? failed : printed
  } finally {
    process.off('SIGINT', interrupt)
    process.off('SIGTERM', interrupt)
  }
}

/** That something is left is worth a word, but must not hide why the shop failed. */
async function removeLeftovers({ place, remove }: ShopGround): Promise<void> {
  try {
    await remove()
  } catch (error) {
    process.stderr.write(`What the shop kept could not be removed (${place}): ${textOf(error)}\n`)
  }
}

/** Writes the result, and returns the exit code: a reader who has seen enough (`| head`) is no failure, a full disk is one. */
async function print(text: string): Promise<number> {
  // What fails is told to the callback too; without a listener it would end the process.
  process.stdout.on('error', () => undefined)
  const error = await new Promise<NodeJS.ErrnoException | null | undefined>((resolve) => {
    process.stdout.write(text, resolve)
  })
  if (!error || error.code === 'EPIPE') return 0
  process.stderr.write(`The figures could not be written: ${error.message}.\n`)
  return failed
}

/** The stack of an expected failure helps nobody; that of a surprise does. */
function textOf(error: unknown): string {
  if (!(error instanceof MillraceError)) return error instanceof Error ? (error.stack ?? error.message) : String(error)
  const remedy = error.code === 'FILE_LOCKED' ? 'Stop it first, or name another folder with --data.' : error.remedy
  return `${error.code}: ${error.problem} ${remedy}`
}

// Orders come and go quickly, and V8 by default lets the heap grow to several times of what is alive before it clears up.
// Half as much again costs nothing that could be measured, and memory no longer depends on how long the shop has run.
setFlagsFromString('--heap-growing-percent=50')

try {
  process.exitCode = await main(process.argv.slice(2))
} catch (error) {
  if (error instanceof OptionsInvalidError) {
    const lines = error.details.problems.map(({ option, problem }) => `  ${option} ${problem}`)
    process.stderr.write(`These options cannot be used:\n${lines.join('\n')}\nTry --help.\n`)
    process.exitCode = badOptions
  } else {
    process.stderr.write(`${textOf(error)}\n`)
    process.exitCode = failed
  }
}
