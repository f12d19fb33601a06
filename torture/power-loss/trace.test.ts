import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { readTrace } from './trace.ts'

const folder = mkdtempSync(join(tmpdir(), 'millrace-trace-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const hex = (text: string): string => [...Buffer.from(text)].map((byte) => `\\x${byte.toString(16)}`).join('')

function read(...lines: readonly string[]): ReturnType<typeof readTrace> {
  const path = join(folder, 'calls.log')
  writeFileSync(path, lines.map((line) => `${line}\n`).join(''))
  return readTrace(path)
}

describe('the log of system calls', () => {
  it('is read with data, answers and the order in which calls of several threads began and ended', async () => {
    const calls = await read(
      `7  openat(AT_FDCWD, "${hex('/a')}", O_RDWR|O_CREAT|O_CLOEXEC, 0644) = 21`,
      `7  pwrite64(21, "${hex('hello')}", 5, 4096 <unfinished ...>`,
      `9  fdatasync(21)    = 0`,
      `7  <... pwrite64 resumed>) = 5`,
      `9  unlink("${hex('/b')}") = -1 ENOENT (No such file or directory)`,
      `9  +++ killed by SIGKILL +++`,
    )
    expect(calls).toEqual([
      { call: { kind: 'open', path: '/a', creates: true, truncates: false }, enter: 0, exit: 0, result: 21 },
      {
        call: { kind: 'write', descriptor: 21, offset: 4096, bytes: Buffer.from('hello') },
        enter: 1,
        exit: 3,
        result: 5,
      },
      { call: { kind: 'sync', descriptor: 21 }, enter: 2, exit: 2, result: 0 },
      { call: { kind: 'unlink', path: '/b' }, enter: 4, exit: 4, result: -1 },
    ])
  })

  it('may end in the middle of a call', async () => {
    const [call] = await read(`7  pwrite64(21, "${hex('hello')}", 5, 0 <unfinished ...>`)
    expect(call).toMatchObject({ enter: 0, exit: Number.POSITIVE_INFINITY, result: Number.NaN })
    const [killed] = await read(`7  fsync(21 <unfinished ...>`, '7  <... fsync resumed>) = ?')
    expect(killed).toMatchObject({ exit: Number.POSITIVE_INFINITY })
  })

  it('leaves out calls that were never made, as their thread was killed before', async () => {
    expect(
      await read('7  ??? ( <unfinished ...>', '7  <... ??? resumed>) = ?', '7  +++ killed by SIGKILL +++'),
    ).toEqual([])
  })

  it('is refused with data cut short, and with calls that the model of the disk does not know', async () => {
    await expect(read(`7  pwrite64(21, "${hex('hel')}"..., 5, 0) = 5`)).rejects.toThrow(/all data/)
    await expect(read(`7  fallocate(21, 0, 0, 4096) = 0`)).rejects.toThrow(/fallocate/)
    await expect(read(`7  mmap(NULL, 4096, PROT_WRITE, MAP_SHARED, 21, 0) = 0x7f00`)).rejects.toThrow(/mmap/)
  })
})
