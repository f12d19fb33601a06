import { expect, it } from 'vitest'
import { embedded } from '../embedded/index.ts'
import { readAgain } from './record-again.ts'

it('a record without a value is read once more as the event that it is, or is gone', async () => {
  await using engine = await embedded({ path: ':memory:' }).open()
  await engine.topics.create('t', { partitions: 1 })
  const headers = Object.entries({ ce_specversion: '1.0', ce_type: 'Left', ce_source: '/s', ce_id: '1' })
  const records = [
    { key: 'a', value: null, headers },
    { key: 'a', value: null },
  ]
  await engine.commit({ publish: [{ topic: 't', partition: 0, records }] })
  const place = { topic: 't', partition: 0 }
  expect(await readAgain(engine, { ...place, offset: 0 })).toMatchObject({ kind: 'message', message: { type: 'Left' } })
  await expect(readAgain(engine, { ...place, offset: 1 })).rejects.toMatchObject({ code: 'RECORD_GONE' })
})
