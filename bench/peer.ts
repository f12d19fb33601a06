import { type ChildProcess, execFile, fork } from 'node:child_process'
import { existsSync, statSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { bundle } from '../scripts/bundle.ts'

/** How fast a number of workflows was, and how long each took from its start to its result. */
export interface PeerRound {
  readonly rate: number
  readonly latenciesMs: readonly number[]
}

const folder = join(import.meta.dirname, 'peers')

/** Makes Millrace's code as users load it, and installs what stands beside it, where it is not there or its lock file is newer. */
export async function preparePeers(): Promise<void> {
  await bundle(join(folder, '..', '..', '.cache', 'bench', 'millrace'))
  const installed = join(folder, 'node_modules', '.package-lock.json')
  const lock = join(folder, 'package-lock.json')
  if (existsSync(installed) && statSync(installed).mtimeMs >= statSync(lock).mtimeMs) return
  process.stderr.write('Installing what is measured beside Millrace (about 290 MB) …\n')
  // Scripts of theirs would tell somebody of the installation.
  await promisify(execFile)('npm', ['ci', '--ignore-scripts', '--no-audit', '--no-fund'], { cwd: folder })
}

/** A system that is measured beside Millrace, in a process of its own. */
export class Peer implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #gone: Promise<never>

  private constructor(child: ChildProcess) {
    this.#child = child
    this.#gone = new Promise((_resolve, reject) => {
      child.once('exit', (code, signal) => reject(new Error(`${child.spawnargs[1]} ended with ${signal ?? code}`)))
    })
    this.#gone.catch(() => undefined)
  }

  /**
   * @param program A file in `bench/peers`.
   * @param env In addition to the environment of this process.
   */
  static async start(
    program: string,
    args: readonly string[],
    env: Readonly<Record<string, string>> = {},
  ): Promise<Peer> {
    const child = fork(join(folder, program), args, {
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
      env: { ...process.env, RESTATE_LOGGING: 'ERROR', NODE_NO_WARNINGS: '1', ...env },
    })
    const peer = new Peer(child)
    await peer.#answer()
    return peer
  }

  get pid(): number {
    return this.#child.pid as number
  }

  async run(concurrent: number, count: number): Promise<PeerRound> {
    return (await this.ask({ concurrent, count })) as PeerRound
  }

  /** Asks it for one thing, and waits for what it answers. */
  ask(question: object): Promise<unknown> {
    this.#child.send(question)
    return this.#answer()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#child.exitCode !== null || this.#child.signalCode !== null || !this.#child.connected) return
    const exited = new Promise((resolve) => this.#child.once('exit', resolve))
    this.#child.send('end')
    await exited
  }

  #answer(): Promise<unknown> {
    return Promise.race([new Promise((resolve) => this.#child.once('message', resolve)), this.#gone])
  }
}

/** Ports of loopback that nobody has right now. */
export async function freePorts(count: number): Promise<readonly number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports: number[] = []
  for (const server of servers) {
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
    const address = server.address()
    if (address !== null && typeof address === 'object') ports.push(address.port)
  }
  for (const server of servers) await new Promise((resolve) => server.close(resolve))
  return ports
}
