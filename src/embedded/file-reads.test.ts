import { describe, expect, it } from 'vitest'
import { FileReads } from './file-reads.ts'

function failing(errcode: number): () => never {
  return () => {
    throw Object.assign(new Error('as SQLite says it'), { errcode })
  }
}

describe('the reads of a file', () => {
  it('are not tried again once SQLite has lost the use of its locks', () => {
    const reads = new FileReads('orders.db')
    const ended = expect.objectContaining({
      code: 'ENGINE_FAILED',
      details: expect.objectContaining({ path: 'orders.db' }),
    })
    expect(() => reads.run(failing(15))).toThrow(ended)
    expect(() => reads.run(() => expect.fail('was tried'))).toThrow(ended)
  })

  it.each([
    ['FILE_UNUSABLE', 5],
    ['FILE_UNUSABLE', 10],
    ['FILE_DAMAGED', 11],
  ])('go on after a failure that may pass or concerns one place: %s', (code, errcode) => {
    const reads = new FileReads('orders.db')
    expect(() => reads.run(failing(errcode))).toThrow(expect.objectContaining({ code }))
    expect(reads.run(() => 1)).toBe(1)
  })
})
