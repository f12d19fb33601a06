import { describe, expect, it } from 'vitest'
import type { Message } from '../message/index.ts'
import { inStructuredMode } from './content-mode.ts'

const message: Message = {
  specversion: '1.0',
  id: 'e1',
  source: '/s',
  type: 'T',
  time: '2026-01-01T00:00:00.000Z',
  datacontenttype: 'application/json',
  dataversion: 1,
  data: 1,
}

describe('a batch in structured mode', () => {
  it('has a record for each message, before its other records', () => {
    const other = { key: 'k', value: 'v' }
    const { publish } = inStructuredMode({
      publish: [{ topic: 't', partition: 3, messages: [message], records: [other] }],
    })
    expect(publish).toEqual([{ topic: 't', partition: 3, records: [expect.objectContaining({ key: null }), other] }])
  })

  it.each([[{ topic: 't', messages: 'x' }], [{ topic: 't', messages: [message], records: 5 }], [{ topic: 't' }]])(
    'is left to be refused where it has no lists: %j',
    (write) => {
      const batch = { publish: [write as never] }
      expect(inStructuredMode(batch)).toEqual(batch)
    },
  )
})
