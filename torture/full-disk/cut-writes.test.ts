import { describe, expect, it } from 'vitest'
import { cutWrites } from './cut-writes.ts'

describe('writes that were cut short', () => {
  it('are told from whole ones, and from those for which there was no room at all', () => {
    const lines = [
      '7  pwrite64(25, ""..., 24, 0) = 24',
      '7  pwrite64(25, ""..., 8192, 24) = 4072',
      '7  pwrite64(25, ""..., 4120, 4096) = -1 ENOSPC (No space left on device)',
      '7  pwrite64(25, ""..., 10, 4096) = -1 EFBIG (File too large)',
      '7  --- SIGXFSZ {si_signo=SIGXFSZ, si_code=SI_USER, si_pid=7, si_uid=0} ---',
      '7  pwrite64(25, ""..., 10, 4096) = -1 EIO (Input/output error)',
    ]
    expect(cutWrites(lines)).toEqual({ cut: 1, refused: 2 })
  })

  it('are found when a call is told in two lines', () => {
    const lines = [
      '7  pwrite64(25, ""..., 8192, 24 <unfinished ...>',
      '8  pwrite64(26, ""..., 100, 0 <unfinished ...>',
      '7  <... pwrite64 resumed>)                = 100',
      '8  <... pwrite64 resumed>)                = 100',
    ]
    expect(cutWrites(lines)).toEqual({ cut: 1, refused: 0 })
  })
})
