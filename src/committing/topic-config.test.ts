import { describe, expect, it } from 'vitest'
import type { TopicConfig } from '../engine/index.ts'
import { OptionsInvalidError } from '../kernel/index.ts'
import { checkTopicName, resolveTopicConfig, topicConfigDefaults } from './topic-config.ts'

function problemsOf(config: unknown, base?: Required<TopicConfig>): readonly string[] {
  try {
    resolveTopicConfig('t', config as TopicConfig, base)
  } catch (error) {
    if (error instanceof OptionsInvalidError) return error.details.problems.map(({ option }) => option)
    throw error
  }
  return []
}

describe('names of topics', () => {
  it.each(['a', 'A.b_c-9', '__proto__', 'constructor', '...', 'x'.repeat(249)])('%s is one', (name) => {
    expect(() => checkTopicName(name)).not.toThrow()
  })

  it.each(['', '.', '..', 'a/b', 'a b', 'ä', 'a\n', 'a\0', 'x'.repeat(250), 7, null, undefined, {}])(
    '%j is none',
    (name) => {
      expect(() => checkTopicName(name as string)).toThrow(expect.objectContaining({ code: 'TOPIC_NAME_INVALID' }))
    },
  )
})

describe('settings of topics', () => {
  it('have defaults, which undefined does not replace', () => {
    expect(resolveTopicConfig('t')).toEqual(topicConfigDefaults)
    expect(resolveTopicConfig('t', { retentionMs: undefined } as unknown as TopicConfig)).toEqual(topicConfigDefaults)
  })

  it('are checked all at once', () => {
    const config = {
      partitions: 0,
      cleanup: 'burn',
      retentionMs: 0,
      retentionBytes: -1,
      tombstoneRetentionMs: Number.NaN,
      compactionLagMs: 1.5,
      compression: 'lz4',
      recordBytesMax: 1023,
      colour: 'red',
    }
    expect(problemsOf(config).toSorted()).toEqual(Object.keys(config).toSorted())
  })

  it.each([
    [{ partitions: 1001 }, ['partitions']],
    [{ partitions: '4' }, ['partitions']],
    [{ partitions: null }, ['partitions']],
    [{ recordBytesMax: 64 * 1024 * 1024 + 1 }, ['recordBytesMax']],
    [{ toString: 1 }, ['toString']],
    [JSON.parse('{"__proto__":1}'), ['__proto__']],
    [{ partitions: 1000, recordBytesMax: 64 * 1024 * 1024, retentionMs: null, retentionBytes: 1 }, []],
  ])('%j: %j', (config, problems) => {
    expect(problemsOf(config)).toEqual(problems)
  })

  it.each([[null], ['compact'], [7], [[]]])('%j is no settings at all', (config) => {
    expect(problemsOf(config)).toEqual(['config'])
  })

  it('may grow but not shrink in partitions, and keep what is not changed', () => {
    const base = resolveTopicConfig('t', { partitions: 8, cleanup: 'compact' })
    expect(problemsOf({ partitions: 7 }, base)).toEqual(['partitions'])
    expect(resolveTopicConfig('t', { partitions: 9 }, base)).toEqual({ ...base, partitions: 9 })
    expect(resolveTopicConfig('t', { retentionMs: 5 }, base)).toEqual({ ...base, retentionMs: 5 })
  })

  it('of a topic with the default number of partitions do not shrink either', () => {
    expect(problemsOf({ partitions: 3 }, { ...topicConfigDefaults })).toEqual(['partitions'])
  })
})
