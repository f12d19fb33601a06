import { describe, expect, it } from 'vitest'
import { lateAcknowledgement } from './late-acknowledgement.ts'

const note = (kind: string, id: string): string =>
  `7  write(19, "{\\"kind\\":\\"${kind}\\",\\"id\\":\\"${id}\\"}\\n", 30) = 30`
const opened = '9  openat(AT_FDCWD, "/data/a.db-wal", O_RDWR|O_CREAT, 0644) = 25'
const failed = '9  fdatasync(25) = -1 EIO (Input/output error) (INJECTED)'
const done = '9  fdatasync(25) = 0'

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

  it.each([
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
