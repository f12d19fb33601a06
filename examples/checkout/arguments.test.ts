import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { readArguments } from './arguments.ts'

describe('the command line of the checkout example', () => {
  it('runs both ways, on a new file', () => {
    expect(readArguments(['new.db'])).toEqual({ kind: 'run', file: 'new.db', saga: 'orchestration' })
    expect(readArguments(['--saga', 'choreography', 'new.db'])).toEqual({
      kind: 'run',
      file: 'new.db',
      saga: 'choreography',
    })
  })

  it.each([
    [['new.db', '--saga', 'nonsense'], '--saga nonsense is not one of orchestration, choreography.'],
    [['a.db', 'b.db'], 'Name one file.'],
    [['--sagas'], "Unknown option '--sagas'"],
  ])('refuses %s', (args, why) => {
    expect(readArguments(args)).toEqual({ kind: 'refused', why: expect.stringContaining(why) })
  })

  it('refuses a file with the orders of an earlier run', () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-checkout-'))
    try {
      const file = join(folder, 'checkout.db')
      writeFileSync(file, '')
      expect(readArguments([file])).toMatchObject({ kind: 'refused', why: expect.stringContaining('earlier run') })
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  it('helps', () => {
    expect(readArguments(['--help'])).toEqual({ kind: 'help' })
    expect(readArguments(['-h'])).toEqual({ kind: 'help' })
  })
})
