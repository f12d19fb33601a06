import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { afterEach, describe, expect, it } from 'vitest'
import { isEnded, parseProcessStat, recordOf, signalTree, stateOf, waitUntilEnded } from './processes.ts'

const started: ChildProcess[] = []

/** A shell that starts a child of its own and tells its id. */
async function startTree(): Promise<{ parentPid: number; childPid: number }> {
  const shell = spawn('sh', ['-c', 'sleep 600 & echo $!; wait'], { stdio: ['ignore', 'pipe', 'ignore'] })
  started.push(shell)
  const [line] = (await once(shell.stdout, 'data')) as [Buffer]
  return { parentPid: Number(shell.pid), childPid: Number(line.toString()) }
}

const recorded = (pid: number) => {
  const record = recordOf(pid)
  if (record === undefined) throw new Error(`Process ${pid} has ended.`)
  return record
}

async function stateBecomes(pid: number, state: string): Promise<void> {
  await expect.poll(() => stateOf(recordOf(pid)), { timeout: 20_000, interval: 5 }).toBe(state)
}

afterEach(() => {
  for (const child of started.splice(0)) {
    const record = child.pid === undefined ? undefined : recordOf(child.pid)
    if (record !== undefined) signalTree(record, 'SIGKILL')
  }
})

describe('the facts about a process', () => {
  it('are read past a program name with spaces and parentheses', () => {
    const rest = '1 5 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000'
    expect(parseProcessStat(`42 (a) b ) c) S ${rest}`)).toEqual({
      state: 'S',
      parentPid: 1,
      threadCount: 1,
      startTicks: '987654',
    })
  })

  it('say that it ended only when its last thread did', () => {
    const facts = { parentPid: 1, startTicks: '1' }
    expect(isEnded({ ...facts, state: 'S', threadCount: 1 })).toBe(false)
    expect(isEnded({ ...facts, state: 'Z', threadCount: 2 })).toBe(false)
    expect(isEnded({ ...facts, state: 'Z', threadCount: 1 })).toBe(true)
    expect(isEnded(undefined)).toBe(true)
  })

  it('are none for text that is none', () => {
    expect(parseProcessStat('')).toBeUndefined()
  })
})

describe('a recorded process', () => {
  it('is told from a later one with the same id', () => {
    const record = recorded(process.pid)
    expect(stateOf(record)).toBe('running')
    expect(stateOf({ ...record, identity: `${record.identity}0` })).toBe('stopped')
    expect(signalTree({ ...record, identity: 'another' }, 'SIGKILL')).toEqual([])
  })

  it('is stopped once it ended, also while nobody has asked for its exit code', async () => {
    const { parentPid, childPid } = await startTree()
    const record = recorded(childPid)
    process.kill(childPid, 'SIGKILL')
    expect(await waitUntilEnded([record], 20_000)).toBe(true)
    expect(stateOf(record)).toBe('stopped')
    await stateBecomes(parentPid, 'stopped')
  })
})

describe('a tree of processes', () => {
  it('is paused and resumed as a whole', async () => {
    const { parentPid, childPid } = await startTree()
    const record = recorded(parentPid)
    signalTree(record, 'SIGSTOP')
    await stateBecomes(parentPid, 'paused')
    await stateBecomes(childPid, 'paused')
    signalTree(record, 'SIGCONT')
    await stateBecomes(parentPid, 'running')
    await stateBecomes(childPid, 'running')
  })

  it('is killed as a whole, also while it is paused', async () => {
    const { parentPid, childPid } = await startTree()
    const record = recorded(parentPid)
    signalTree(record, 'SIGSTOP')
    const killed = signalTree(record, 'SIGKILL')
    expect(killed.map(({ pid }) => pid)).toEqual([parentPid, childPid])
    expect(await waitUntilEnded(killed, 20_000)).toBe(true)
  })

  it('that does not end is reported', async () => {
    const { parentPid } = await startTree()
    expect(await waitUntilEnded([recorded(parentPid)], 50)).toBe(false)
  })
})
