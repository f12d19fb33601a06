import { spawn } from 'node:child_process'
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { isDeepStrictEqual } from 'node:util'

/**
 * A file `examples/<example>/expected/<case>.json`: commands that run one after the other in the folder of the example,
 * each with what it must print. `{data}` in a command stands for one fresh folder that all commands of the case share.
 */
interface CaseFile {
  /** What the case shows, as a sentence. */
  readonly shows: string
  readonly commands: readonly CaseCommand[]
}

interface CaseCommand {
  /** Program and arguments; `node` is the Node that runs the check. */
  readonly command: readonly string[]
  /** Default 0. */
  readonly exitCode?: number
  /** Default 120. */
  readonly timeoutSeconds?: number
  /** The JSON document on stdout must equal this, but for the fields of {@link ignore}. */
  readonly stdoutJson?: unknown
  /** Top-level fields of the JSON document that differ from run to run. They must be there. */
  readonly ignore?: readonly string[]
  /** The text on stdout must equal these lines, after {@link replace}. */
  readonly stdoutLines?: readonly string[]
  /** Pairs of a regular expression and its replacement, for what differs from run to run. */
  readonly replace?: readonly (readonly [string, string])[]
}

/** One case of one example. */
export interface ExampleCase {
  readonly title: string
  readonly folder: string
  readonly file: CaseFile
}

/** All cases under `examples/`, and the examples that have none. */
export function exampleCases(root: string): {
  readonly found: readonly ExampleCase[]
  readonly faults: readonly string[]
} {
  const examples = join(root, 'examples')
  const found: ExampleCase[] = []
  const faults: string[] = []
  const folders = existsSync(examples) ? readdirSync(examples, { withFileTypes: true }) : []
  for (const { name } of folders.filter((entry) => entry.isDirectory())) {
    const folder = join(examples, name)
    const expected = join(folder, 'expected')
    const files = existsSync(expected) ? readdirSync(expected).filter((file) => file.endsWith('.json')) : []
    if (files.length === 0) faults.push(`examples/${name}: no case in its folder expected/.`)
    for (const file of files.sort()) {
      const title = `examples/${name}: ${basename(file, '.json')}`
      found.push({ title, folder, file: JSON.parse(readFileSync(join(expected, file), 'utf8')) as CaseFile })
    }
  }
  return { found, faults }
}

export interface Outcome {
  readonly exitCode: number | string
  readonly stdout: string
  readonly stderr: string
}

/** Runs a command to its end, or kills it when its time is over. */
export function runCommand(command: readonly string[], cwd: string, timeoutSeconds: number): Promise<Outcome> {
  const [program = '', ...args] = command
  return new Promise((settle) => {
    const child = spawn(program === 'node' ? process.execPath : program, args, {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, NO_COLOR: '1' },
      timeout: timeoutSeconds * 1000,
      killSignal: 'SIGKILL',
    })
    let stdout = ''
    let stderr = ''
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
      stdout += chunk
    })
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => {
      stderr += chunk
    })
    child.once('error', (error) => settle({ exitCode: error.message, stdout, stderr }))
    child.once('close', (code, signal) => settle({ exitCode: code ?? signal ?? 'nothing', stdout, stderr }))
  })
}

/** Runs the commands of a case; returns what differs from its description. */
export async function compareCase(example: ExampleCase, data: string): Promise<string[]> {
  if (example.file.commands.length === 0) return [`${example.title}: it has no command.`]
  for (const step of example.file.commands) {
    const command = step.command.map((part) => part.replaceAll('{data}', data))
    const outcome = await runCommand(command, example.folder, step.timeoutSeconds ?? 120)
    const fault = faultOf(step, outcome)
    // Later commands build on what earlier ones left.
    if (fault !== undefined)
      return [`${example.title}: ${step.command.join(' ')}\n${fault}\n${outcome.stderr.slice(-4000)}`]
  }
  return []
}

/** What an outcome lacks of a description. */
export function faultOf(step: CaseCommand, { exitCode, stdout }: Outcome): string | undefined {
  if (exitCode !== (step.exitCode ?? 0)) return `It ended with ${exitCode}.`
  if (step.stdoutJson === undefined && step.stdoutLines === undefined) return 'The case says nothing about its output.'
  if (step.stdoutLines !== undefined) {
    let text = stdout.trimEnd()
    for (const [pattern, replacement] of step.replace ?? [])
      text = text.replaceAll(new RegExp(pattern, 'g'), replacement)
    return text === step.stdoutLines.join('\n') ? undefined : `It printed:\n${text}`
  }
  const printed = parse(stdout)
  if (typeof printed !== 'object' || printed === null) return `It printed no JSON object:\n${stdout.slice(0, 2000)}`
  const missing = (step.ignore ?? []).filter((field) => !(field in printed))
  if (missing.length > 0) return `Its JSON object lacks: ${missing.join(', ')}.`
  const kept = Object.fromEntries(Object.entries(printed).filter(([field]) => step.ignore?.includes(field) !== true))
  return isDeepStrictEqual(kept, step.stdoutJson) ? undefined : `It printed:\n${JSON.stringify(kept, null, 2)}`
}

function parse(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}

/** The first TypeScript block of a Markdown text with an `import` in it, and the text block after it: what it prints. */
export function programOf(markdown: string): { readonly code: string; readonly output: string } | undefined {
  const match =
    /^```ts\n(?<code>(?:(?!```)[\s\S])*?^import (?:(?!```)[\s\S])*?)^```\n(?:(?!```)[\s\S])*?^```(?:text|json)\n(?<output>[\s\S]*?)^```$/m.exec(
      markdown,
    )
  const { code, output } = match?.groups ?? {}
  return code === undefined || output === undefined ? undefined : { code, output }
}

/**
 * All TypeScript blocks of a Markdown text as one program, but for those that are one by themselves and say what they print; with what stands between them in comments that begin with `ts`: what
 * the page does not show, because its readers can do without.
 */
export function codeOf(markdown: string): string {
  const parts = markdown.matchAll(/^(?:```ts\n((?:(?!```)[\s\S])*?)^```$(?!\n+```text$)|<!-- ts\n([\s\S]*?)^-->$)/gm)
  return [...parts].map(([, shown, hidden]) => shown ?? hidden ?? '').join('\n')
}

/** Names of the packages that a program imports. */
export function importsOf(code: string): string[] {
  const specifiers = [...code.matchAll(/^\s*(?:import|export)\b[^'"]*['"]([^'"]+)['"]/gm)].map(
    (match) => match[1] ?? '',
  )
  const packages = specifiers.filter((name) => !/^(node:|\.|\/)/.test(name))
  return [
    ...new Set(
      packages.map((name) =>
        name
          .split('/')
          .slice(0, name.startsWith('@') ? 2 : 1)
          .join('/'),
      ),
    ),
  ]
}
