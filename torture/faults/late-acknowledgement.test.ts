import { describe, expect, it } from 'vitest'
import { lateAcknowledgement } from './late-acknowledgement.ts'

const note = (kind: string, id: string): string =>
  `7  write(19, "{\\"kind\\":\\"${kind}\\",\\"id\\":\\"${id}\\"}\\n", 30) = 30`
const opened = '9  openat(AT_FDCWD, "/data/a.db-wal", O_RDWR|O_CREAT, 0644) = 25'
const failed = '9  fdatasync(25) = -1 EIO (Input/output error) (INJECTED)'
const done = '9  fdatasync(25) = 0'
const written = (...ids: readonly string[]): string =>
  `9  pwrite64(25, "\\0\\1${ids.map((id) => `\\"${id}\\"`).join('\\3')}\\0"..., 8192, 56) = 8192`

describe('what is acknowledged after a sync failed', () => {
  it('is found when it was tried after it', () => {
    expect(lateAcknowledgement([opened, failed, note('attempt', 'a'), note('ack', 'a')])).toMatch(/^a was ack/)
  })

  it('is found when it is what the sync was for', () => {
    expect(lateAcknowledgement([opened, note('attempt', 'a'), failed, note('ack', 'a')])).toMatch(/^a was ack/)
    // Nor does one that succeeds later make up for it.
    expect(lateAcknowledgement([opened, note('attempt', 'a'), failed, done, note('ack', 'a')])).toMatch(/^a was ack/)
    expect(lateAcknowledgement([opened, failed, note('attempt', 'a'), done, note('ack', 'a')])).toMatch(/^a was ack/)
    // One that began before does not count for it.
    const begun = ['9  fdatasync(25 <unfinished ...>', note('attempt', 'a'), '9  <... fdatasync resumed>) = 0']
    expect(lateAcknowledgement([opened, ...begun, failed, note('ack', 'a')])).toMatch(/^a was ack/)
  })

  it('is found when the calls are told in two lines each', () => {
    const lines = [
      '9  openat(AT_FDCWD, "/data/a.db-wal", O_RDWR|O_CREAT, 0644 <unfinished ...>',
      '7  openat(AT_FDCWD, "/data/a.db", O_RDWR|O_CREAT, 0644) = 24',
      '9  <... openat resumed>) = 25',
      '9  fdatasync(25 <unfinished ...>',
      '7  fdatasync(24) = 0',
      '9  <... fdatasync resumed>) = -1 EIO (Input/output error) (INJECTED)',
    ]
    expect(lateAcknowledgement([...lines, note('attempt', 'a'), note('ack', 'a')])).toMatch(/^a was ack/)
  })

  it('is found when it was tried before a sync that succeeded, and written after that began', () => {
    const late = [opened, note('attempt', 'a'), done, written('a'), failed, note('ack', 'a')]
    expect(lateAcknowledgement(late)).toMatch(/^a was ack.* written$/)
    const amidst = ['9  fdatasync(25 <unfinished ...>', written('a'), '9  <... fdatasync resumed>) = 0']
    expect(lateAcknowledgement([opened, note('attempt', 'a'), ...amidst, failed, note('ack', 'a')])).toMatch(/^a was/)
    // Of another id that begins with the same letters nothing follows, nor of what goes to another file.
    const others = [opened, note('attempt', 'a/1'), written('a/12'), done, written('a/1'), failed, note('ack', 'a/1')]
    expect(lateAcknowledgement(others)).toMatch(/^a\/1 was ack/)
    const elsewhere = [opened, note('attempt', 'a'), written('a').replace('25', '24'), done, written('a')]
    expect(lateAcknowledgement([...elsewhere, failed, note('ack', 'a')])).toMatch(/^a was ack/)
  })

  it.each([
    [
      'it was written and synced before',
      [opened, note('attempt', 'a'), written('b', 'a'), done, written('a'), failed, note('ack', 'a')],
    ],
    ['it was synced before', [opened, note('attempt', 'a'), done, failed, note('ack', 'a')]],
    ['it was acknowledged before', [opened, note('attempt', 'a'), done, note('ack', 'a'), failed, note('ack', 'a')]],
    ['it is not acknowledged', [opened, failed, note('attempt', 'a')]],
    ['no sync failed', [opened, done, note('attempt', 'a'), note('ack', 'a')]],
    [
      'it was not the log that was synced',
      [opened.replace('-wal', ''), failed, note('attempt', 'a'), note('ack', 'a')],
    ],
  ])('is none when %s', (_why, lines) => {
    expect(lateAcknowledgement(lines)).toBe(null)
  })
})
