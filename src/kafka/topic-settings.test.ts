import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { topicConfigDefaults } from '../committing/index.ts'
import type { TopicConfig } from '../engine/index.ts'
import { batchBytesFor, batchBytesMaxFor, configOf, recordBytesFor, settingsOf } from './topic-settings.ts'

describe('settings of a topic', () => {
  it.each([
    topicConfigDefaults,
    { ...topicConfigDefaults, cleanup: 'compact', compression: 'zstd', retentionMs: 5, retentionBytes: 7 },
    { ...topicConfigDefaults, cleanup: 'compact-and-delete', compression: 'gzip', compactionLagMs: 9 },
    { ...topicConfigDefaults, tombstoneRetentionMs: 1, recordBytesMax: 1024 },
  ] as Required<TopicConfig>[])('come back as they were: %j', (config) => {
    expect(configOf(config.partitions, settingsOf(config))).toEqual(config)
  })

  it('name only what is given', () => {
    expect([...settingsOf({ retentionMs: null })]).toEqual([['retention.ms', '-1']])
    expect([...settingsOf({ partitions: 7 })]).toEqual([])
  })

  it('of a topic that others made are told as far as Millrace has them', () => {
    const foreign = new Map([
      ['cleanup.policy', 'delete,compact'],
      ['compression.type', 'lz4'],
      ['retention.ms', '9223372036854775807'],
      ['max.message.bytes', '1048588'],
    ])
    expect(configOf(3, foreign)).toMatchObject({
      cleanup: 'compact-and-delete',
      compression: 'none',
      retentionMs: Number.MAX_SAFE_INTEGER,
      recordBytesMax: 524_230,
    })
  })
})

describe('the bound of a record', () => {
  it('is found again in that of a batch', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 64 * 1024 * 1024 }), (recordBytesMax) => {
        expect(recordBytesFor(batchBytesFor(recordBytesMax))).toBe(recordBytesMax)
      }),
    )
  })

  it('leaves room for a record of that size in any batch that is still open', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1024, max: 128 * 1024 * 1024 }), (maxMessageBytes) => {
        // An open batch is smaller than the size at which it is closed.
        const largest = batchBytesMaxFor(maxMessageBytes) - 1 + recordBytesFor(maxMessageBytes)
        expect(largest).toBeLessThanOrEqual(maxMessageBytes)
      }),
    )
  })
})
