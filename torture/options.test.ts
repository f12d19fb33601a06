import { describe, expect, it, vi } from 'vitest'
import { parseOptions } from './options.ts'

const kindNames = ['kills', 'flips']

describe('the command line of the torture', () => {
  it('has defaults', () => {
    expect(parseOptions([], kindNames)).toEqual({
      minutes: undefined,
      set: undefined,
      only: [],
      cases: undefined,
      seed: undefined,
      folder: undefined,
      stopsAtFirst: false,
      json: false,
    })
  })

  it('takes kinds, a time, a number and a seed', () => {
    const args = ['--only', 'kills', '--only', 'flips', '--minutes', '0.5', '--cases', '3', '--seed', '7', '--json']
    expect(parseOptions([...args, '--stop-at-first', '--folder', '/mnt/disk'], kindNames)).toEqual({
      minutes: 0.5,
      set: undefined,
      only: ['kills', 'flips'],
      cases: 3,
      seed: 7,
      folder: '/mnt/disk',
      stopsAtFirst: true,
      json: true,
    })
  })

  it.each([
    [['--help'], 0, /Usage: npm run torture -- \[options\]/],
    [['--only', 'nothing'], 1, /'nothing' is invalid. There are: kills, flips\./],
    [['--minutes', '0'], 1, /Give a number of minutes above 0\./],
    [['--cases', '-1'], 1, /Give a whole number from 0\./],
    [['--seed', '1.5'], 1, /Give a whole number from 0\./],
    [['--quick', '--full'], 1, /'--quick' cannot be used with option '--full'/],
    [['--minuets', '3'], 1, /unknown option '--minuets'/],
    [['kills'], 1, /too many arguments/],
  ])('answers %j with exit code %d and a word', (args, code, text) => {
    const said: string[] = []
    const note = (chunk: unknown): boolean => said.push(String(chunk)) > 0
    vi.spyOn(process.stdout, 'write').mockImplementation(note)
    vi.spyOn(process.stderr, 'write').mockImplementation(note)
    const exit = vi.spyOn(process, 'exit').mockImplementation((status) => {
      throw new Error(`exit ${status}`)
    })
    expect(() => parseOptions(args, kindNames)).toThrow(`exit ${code}`)
    expect(said.join('')).toMatch(text)
    exit.mockRestore()
  })
})
