import { describe, expect, it } from 'vitest'
import { OptionsInvalidError } from '../kernel/index.ts'
import { type EmbeddedOptions, embedded } from './index.ts'
import { resolveEmbeddedOptions } from './options.ts'

function problemsOf(options: unknown): readonly string[] {
  try {
    resolveEmbeddedOptions(options as EmbeddedOptions)
  } catch (error) {
    if (error instanceof OptionsInvalidError) return error.details.problems.map(({ option }) => option)
    throw error
  }
  return []
}

describe('the options of the embedded engine', () => {
  it('have defaults', () => {
    expect(resolveEmbeddedOptions({ path: 'a.db' })).toEqual({
      path: 'a.db',
      readOnly: false,
      bufferBytesMax: 67_108_864,
      recentBytesMax: 67_108_864,
      maintenanceIntervalMs: 60_000,
    })
  })

  it('are checked all at once', () => {
    const options = {
      path: '',
      readOnly: 'no',
      bufferBytesMax: 1,
      recentBytesMax: -1,
      maintenanceIntervalMs: 5,
      journal: 'off',
    }
    expect(problemsOf(options).toSorted()).toEqual(Object.keys(options).toSorted())
  })

  it.each([
    [{}, ['path']],
    [{ path: 7 }, ['path']],
    [{ path: 'a\0b' }, ['path']],
    [{ path: 'a', bufferBytesMax: 64 * 1024 - 1 }, ['bufferBytesMax']],
    [{ path: 'a', bufferBytesMax: 2 ** 32 + 1 }, ['bufferBytesMax']],
    [{ path: 'a', bufferBytesMax: Number.NaN }, ['bufferBytesMax']],
    [{ path: 'a', recentBytesMax: 0.5 }, ['recentBytesMax']],
    [{ path: 'a', maintenanceIntervalMs: 99 }, ['maintenanceIntervalMs']],
    [{ path: 'a', maintenanceIntervalMs: '100' }, ['maintenanceIntervalMs']],
    [{ path: ':memory:', readOnly: true }, ['readOnly']],
    [{ path: 'a', constructor: 1 }, ['constructor']],
    [JSON.parse('{"path":"a","__proto__":1}'), ['__proto__']],
    [null, ['options']],
    ['a.db', ['options']],
  ])('%j: %j', (options, problems) => {
    expect(problemsOf(options)).toEqual(problems)
  })

  it.each([
    { path: 'a', bufferBytesMax: 64 * 1024, recentBytesMax: 0, maintenanceIntervalMs: 0 },
    { path: 'a', bufferBytesMax: 2 ** 32, recentBytesMax: 2 ** 32, maintenanceIntervalMs: 100 },
  ])('%j is fine', (options) => {
    expect(problemsOf(options)).toEqual([])
  })

  it('are refused before anything is opened', () => {
    expect(() => embedded({ path: '' })).toThrow(OptionsInvalidError)
  })
})
