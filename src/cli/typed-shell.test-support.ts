import { type ChildProcess, spawn, spawnSync } from 'node:child_process'
import { mkdirSync, symlinkSync } from 'node:fs'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'
import { installCommand } from './child-process.test-support.ts'
import type { Shell } from './completion/scripts.ts'

interface Habits {
  /** Starts it without the settings of whoever runs the test. */
  readonly start: string
  /** What is typed before anything else: a key that completes, and the script. */
  readonly setUp: readonly string[]
  /** The key that inserts all completions, or the only one. */
  readonly completeKey: string
}

const habits: Readonly<Record<Shell, Habits>> = {
  bash: {
    start: 'bash --norc --noprofile -i',
    setUp: ['source <(millrace completion bash)'],
    // Readline: insert-completions.
    completeKey: '\u001b*',
  },
  zsh: {
    start: 'zsh -f -i',
    setUp: [
      'bindkey -e; autoload -Uz compinit; compinit -u -D',
      "zle -C all-matches complete-word _generic; bindkey '^Xa' all-matches",
      "zstyle ':completion:all-matches:*' completer _all_matches _complete",
      "zstyle ':completion:all-matches:*' insert yes",
      'source <(millrace completion zsh)',
    ],
    completeKey: '\u0018a',
  },
  fish: { start: 'fish --no-config -i', setUp: ['millrace completion fish | source'], completeKey: '\t' },
}

/** How long a shell may take to end, in milliseconds. */
const patienceMs = 10_000

/** Whether a shell can be tried here: it and `script`, which gives it a terminal, are installed. */
export function canType(shell: Shell): boolean {
  return [shell, 'script'].every((name) => spawnSync(name, ['--version'], { stdio: 'ignore' }).status === 0)
}

/** Surroundings in which a shell finds `millrace`, and Node.js what it compiled before: each completion starts it. */
export function shellEnvironment(folder: string, file: string): Readonly<Record<string, string>> {
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  symlinkSync(installCommand(folder), join(bin, 'millrace'))
  symlinkSync(process.execPath, join(bin, 'node'))
  const compileCache = process.env['NODE_COMPILE_CACHE']
  // A dumb terminal of many columns: shells then write lines as they are typed.
  return {
    PATH: `${bin}:${process.env['PATH']}`,
    HOME: folder,
    TERM: 'dumb',
    COLUMNS: '500',
    HISTFILE: '',
    MILLRACE_FILE: file,
    ...(compileCache === undefined ? {} : { NODE_COMPILE_CACHE: compileCache }),
  }
}

/** A real shell at a terminal, with someone who types. */
export class TypedShell {
  readonly #child: ChildProcess
  readonly #completeKey: string
  #output = ''
  #count = 0

  private constructor(shell: Shell, folder: string, environment: Readonly<Record<string, string>>) {
    this.#completeKey = habits[shell].completeKey
    this.#child = spawn('script', ['-qec', habits[shell].start, '/dev/null'], { cwd: folder, env: environment })
    this.#child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      this.#output += chunk
    })
    onTestFinished(() => this.#exit())
  }

  /** Starts a shell and teaches it to complete. */
  static async start(shell: Shell, folder: string, environment: Readonly<Record<string, string>>): Promise<TypedShell> {
    const typed = new TypedShell(shell, folder, environment)
    for (const line of habits[shell].setUp) await typed.#enter(`${line}; `)
    return typed
  }

  /** The words that a line has, for the shell itself, after completion at its end. */
  async completed(line: string): Promise<readonly string[]> {
    // In front of the completed line goes a command that prints its words: Ctrl-A moves there, Ctrl-E back.
    return this.#enter(`${line}${this.#completeKey}\u0001`, '\u0005')
  }

  /** Leaves the shell: only one that is over writes no more into its folder. */
  async #exit(): Promise<void> {
    const closed = new Promise((resolve) => this.#child.once('close', resolve))
    if (this.#child.exitCode !== null || this.#child.signalCode !== null) return
    // What stands in the line is given up first.
    this.#child.stdin?.write('\u0005\u0015exit\r')
    // Without its terminal a shell that hangs ends, too.
    const patience = setTimeout(() => this.#child.kill('SIGKILL'), patienceMs)
    await closed
    clearTimeout(patience)
  }

  /** Types something and waits until the shell has done it. */
  async #enter(before: string, after = ''): Promise<readonly string[]> {
    this.#count += 1
    const end = `END${this.#count}`
    this.#output = ''
    // The typed line is echoed, too, but has no such word in angle brackets.
    this.#child.stdin?.write(`${before}printf '<%s>' ${after} ${end}\r`)
    for (;;) {
      const found = this.#output.indexOf(`<${end}>`)
      if (found >= 0) return wordsIn(this.#output.slice(0, found))
      if (this.#child.exitCode !== null) throw new Error(`The shell ended:\n${this.#output}`)
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
  }
}

/** The words that stand in angle brackets at the end. */
function wordsIn(output: string): readonly string[] {
  const printed = output.slice(output.lastIndexOf('\n') + 1)
  return [...printed.slice(printed.indexOf('<')).matchAll(/<([^>]*)>/g)].map(([, word]) => word ?? '')
}
