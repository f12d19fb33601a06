import { describe, expect, it } from 'vitest'
import { topicConfigDefaults } from '../committing/index.ts'
import { Catalog, type Partition } from './catalog.ts'
import { openForWriting } from './connection.ts'
import type { PartitionRow, TopicRow } from './store/protocol.ts'
import { TopicWriter } from './store/topic-writer.ts'

const partition = (id: number, number: number, earliest = 0, latest = 0): PartitionRow => ({
  id,
  number,
  earliest,
  latest,
})
const row = (id: number, name: string, ...partitions: PartitionRow[]): TopicRow => ({
  id,
  name,
  config: { ...topicConfigDefaults, partitions: partitions.length },
  partitions,
})

const coded = (code: string): unknown => expect.objectContaining({ code })

describe('the catalogue of topics', () => {
  it('finds topics and partitions, or says what is missing', () => {
    const catalog = new Catalog()
    catalog.put(row(1, 't', partition(10, 0), partition(11, 1)))
    expect(catalog.partition('t', 1).id).toBe(11)
    expect(catalog.partitionById(11)).toBe(catalog.partition('t', 1))
    for (const number of [2, -1, 0.5, Number.NaN, '0', '__proto__', 'length', null]) {
      expect(() => catalog.partition('t', number as number)).toThrow(coded('PARTITION_UNKNOWN'))
    }
    for (const name of ['u', '__proto__', 'constructor', '']) {
      expect(() => catalog.topic(name)).toThrow(coded('TOPIC_UNKNOWN'))
    }
  })

  it('keeps a partition the same when its topic changes, and wakes who waits at its end', () => {
    const catalog = new Catalog()
    catalog.put(row(1, 't', partition(10, 0, 0, 5)))
    const first = catalog.partition('t', 0)
    let woken = 0
    first.onChange(() => woken++)
    catalog.put(row(1, 't', partition(10, 0, 2, 4), partition(11, 1)))
    expect(catalog.partition('t', 0)).toBe(first)
    // The end never goes back: an older answer came late.
    expect([first.earliest, first.latest, woken]).toEqual([2, 5, 0])
    catalog.put(row(1, 't', partition(10, 0, 2, 7), partition(11, 1)))
    expect([first.latest, woken]).toEqual([7, 1])
    first.advance(8)
    expect(woken).toBe(1)
  })

  it('lets nobody wait at a topic that is gone, also when another one has its name', () => {
    const catalog = new Catalog()
    catalog.put(row(1, 't', partition(10, 0, 0, 5)))
    const first = catalog.partition('t', 0)
    let woken = 0
    const stop = first.onChange(() => woken++)
    catalog.put(row(2, 't', partition(20, 0)))
    expect([woken, catalog.partition('t', 0).id, catalog.partition('t', 0).latest]).toEqual([1, 20, 0])
    expect(catalog.partitionById(10)).toBeUndefined()
    stop()
    catalog.remove('t')
    expect(catalog.find('t')).toBeUndefined()
    catalog.remove('t')
  })

  it('takes back a topic that could not be deleted', () => {
    const catalog = new Catalog()
    const topic = catalog.put(row(1, 't', partition(10, 0)))
    const held: Partition = catalog.partition('t', 0)
    catalog.remove('t')
    catalog.restore(topic)
    expect([catalog.partition('t', 0), catalog.partitionById(10)]).toEqual([held, held])
  })

  it('follows a file that another process changes', () => {
    const db = openForWriting(':memory:')
    const topics = new TopicWriter(db)
    const one = topics.createTopic('one', { ...topicConfigDefaults, partitions: 2 })
    topics.createTopic('two', { ...topicConfigDefaults, partitions: 1 })
    const catalog = Catalog.read(db)
    expect(catalog.topics.map(({ name }) => name)).toEqual(['one', 'two'])
    topics.alterTopic(one.id, { ...topicConfigDefaults, partitions: 3 })
    topics.deleteTopic(2)
    topics.createTopic('three', { ...topicConfigDefaults, partitions: 1 })
    const before = catalog.partition('one', 1)
    catalog.refresh(db)
    expect(catalog.topics.map(({ name, partitions }) => [name, partitions.length])).toEqual([
      ['one', 3],
      ['three', 1],
    ])
    expect(catalog.partition('one', 1)).toBe(before)
    db.close()
  })
})
