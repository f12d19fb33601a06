import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { closeSync, mkdirSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as wait } from 'node:timers/promises'
import { NodeStateError, ServerStartError } from './errors.ts'
import { logTail } from './log-tail.ts'
import { requireFreePorts } from './ports.ts'
import { type ProcessRecord, recordOf, signalProcess, signalTree, stateOf, waitUntilEnded } from './processes.ts'
import type { NodePlace, ServerKind, ServerPlace } from './server-kind.ts'

/** What a node's process is doing. `paused`: it was sent SIGSTOP. */
export type NodeState = 'running' | 'paused' | 'stopped'

const probeIntervalMs = 100
// What SIGKILL was sent to is gone at once, unless it waits for a disk.
const killTimeoutMs = 30_000
const spawnTimeoutMs = 10_000
const signalTimeoutMs = 10_000
const signalPollMs = 5

/**
 * One node of a real server: a process that outlives the one that started it and is found again by what stands in its
 * folder. Chaos tests take its process away from under their programs and give it back.
 *
 * @example
 * ```ts
 * const kafka = await startServer('kafka', { nodeCount: 3 })
 * await kafka.nodes[0]?.kill()   // as if its machine had lost power, but for what the disk had not yet
 * await kafka.nodes[0]?.start()
 * ```
 */
export class ServerNode {
  readonly number: number
  /** Both outputs of the process, over all its runs. */
  readonly logPath: string
  readonly #kind: ServerKind
  readonly #place: ServerPlace
  readonly #node: NodePlace
  readonly #recordPath: string

  constructor(kind: ServerKind, place: ServerPlace, node: NodePlace) {
    this.number = node.number
    this.logPath = node.logPath
    this.#kind = kind
    this.#place = place
    this.#node = node
    this.#recordPath = join(node.folder, 'process.json')
  }

  /** `kafka node 2`, or just `postgres` where there is one. */
  get title(): string {
    return this.#place.nodes.length === 1 ? this.#place.name : `${this.#place.name} node ${this.number}`
  }

  /** Id of its process; `undefined` while it has none. */
  get pid(): number | undefined {
    const record = this.#record()
    return stateOf(record) === 'stopped' ? undefined : record?.pid
  }

  state(): NodeState {
    return stateOf(this.#record())
  }

  /** True if it answers in its own protocol. */
  async answers(): Promise<boolean> {
    if (this.state() !== 'running') return false
    return await this.#kind.probe(this.#place, this.#node).then(
      () => true,
      () => false,
    )
  }

  /**
   * Starts the process, unless it runs, and waits until it answers. A node of several may need others for that: start the
   * processes with `{ wait: false }`, then await {@link waitUntilAnswering} of each.
   *
   * Fails with `SERVER_PORT_TAKEN` and `SERVER_START_FAILED`.
   */
  async start(options: { readonly wait?: boolean } = {}): Promise<void> {
    if (this.state() === 'paused') await this.resume()
    if (this.state() === 'stopped') await this.#spawn()
    if (options.wait !== false) await this.waitUntilAnswering()
  }

  /** Waits until the node answers. Fails with `SERVER_START_FAILED` if its process ends or needs too long. */
  async waitUntilAnswering(): Promise<void> {
    const endMs = performance.now() + this.#kind.startTimeoutMs
    for (;;) {
      if (this.state() === 'stopped') throw this.#startError('ended while it was starting')
      try {
        await this.#kind.probe(this.#place, this.#node)
        return
      } catch (cause) {
        if (performance.now() > endMs)
          throw this.#startError(`did not answer within ${this.#kind.startTimeoutMs / 1000} s`, { cause })
      }
      await wait(probeIntervalMs)
    }
  }

  /** Lets the process end in good order, and kills it if it takes too long. Does nothing if there is none. */
  async stop(): Promise<void> {
    const record = this.#record()
    if (record === undefined || stateOf(record) === 'stopped') return this.#forget()
    if (stateOf(record) === 'paused') signalTree(record, 'SIGCONT')
    signalProcess(record.pid, this.#kind.stopSignal)
    if (await waitUntilEnded([record], this.#kind.stopTimeoutMs)) this.#forget()
    else await this.kill()
  }

  /** SIGKILL to the process and all below it, running or paused; back when the last of them is gone. */
  async kill(): Promise<void> {
    const record = this.#record()
    if (record === undefined) return
    const killed = signalTree(record, 'SIGKILL')
    if (!(await waitUntilEnded(killed, killTimeoutMs)))
      throw new NodeStateError(this.title, 'still there after SIGKILL', 'stopped')
    this.#forget()
  }

  /** SIGSTOP to the process and all below it: connections stay open and nothing is answered. */
  async pause(): Promise<void> {
    await this.#signal('SIGSTOP', 'paused')
  }

  /** SIGCONT: ends a {@link pause}. */
  async resume(): Promise<void> {
    await this.#signal('SIGCONT', 'running')
  }

  async #signal(signal: 'SIGSTOP' | 'SIGCONT', wanted: NodeState): Promise<void> {
    const record = this.#record()
    if (record === undefined || stateOf(record) === 'stopped') throw new NodeStateError(this.title, 'stopped', wanted)
    signalTree(record, signal)
    const endMs = performance.now() + signalTimeoutMs
    // The kernel stops every thread by itself, which takes a moment.
    while (this.state() !== wanted) {
      if (performance.now() > endMs) throw new NodeStateError(this.title, this.state(), wanted)
      await wait(signalPollMs)
    }
  }

  async #spawn(): Promise<void> {
    const { portsUsed } = this.#kind
    await requireFreePorts(
      this.title,
      portsUsed.map((distance) => this.#node.port + distance),
    )
    const { command, args, env, uid, gid } = await this.#kind.launch(this.#place, this.#node)
    mkdirSync(this.#node.folder, { recursive: true })
    const log = openSync(this.logPath, 'a')
    try {
      const child = spawn(command, args, {
        cwd: this.#node.folder,
        // Settings of the caller's shell, such as JAVA_TOOL_OPTIONS or PGDATA, must not change how a server runs.
        env: { PATH: process.env['PATH'], LANG: 'C.UTF-8', TZ: 'UTC', ...env },
        detached: true,
        stdio: ['ignore', log, log],
        ...(uid === undefined ? {} : { uid }),
        ...(gid === undefined ? {} : { gid }),
      })
      await once(child, 'spawn', { signal: AbortSignal.timeout(spawnTimeoutMs) })
      child.unref()
      this.#keep(child.pid === undefined ? undefined : recordOf(child.pid))
    } catch (cause) {
      throw this.#startError(`could not be started with ${command}`, { cause })
    } finally {
      closeSync(log)
    }
  }

  #startError(outcome: string, options?: ErrorOptions): ServerStartError {
    return new ServerStartError(this.title, outcome, this.logPath, logTail(this.logPath), options)
  }

  #record(): ProcessRecord | undefined {
    try {
      return JSON.parse(readFileSync(this.#recordPath, 'utf8')) as ProcessRecord
    } catch {
      return undefined
    }
  }

  #keep(record: ProcessRecord | undefined): void {
    // Already gone: whoever waits for an answer finds no record and tells it.
    if (record === undefined) {
      this.#forget()
      return
    }
    const partial = `${this.#recordPath}.partial`
    writeFileSync(partial, `${JSON.stringify(record)}\n`)
    renameSync(partial, this.#recordPath)
  }

  #forget(): void {
    rmSync(this.#recordPath, { force: true })
  }
}
