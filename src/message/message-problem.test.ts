import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { arbitraryMessage } from './cloudevents/arbitrary-message.test-support.ts'
import { event, messageProblem } from './index.ts'

const message = event('Ticked')(null, { subject: 's', extensions: { tenant: 'nl', retries: 3, test: true } })

describe('what cannot be kept as a message', () => {
  it('is nothing that a definition created or a decoder could have read', () => {
    expect(messageProblem(message)).toBeUndefined()
    fc.assert(fc.property(arbitraryMessage(true), (any) => messageProblem(any) === undefined))
  })

  it('is no data of another type than JSON', () => {
    const foreign = { ...message, datacontenttype: 'application/xml' }
    for (const data of [undefined, '<a/>', new Uint8Array([0xff]), { a: 1 }]) {
      expect(messageProblem({ ...foreign, data })).toBeUndefined()
    }
    expect(messageProblem({ ...foreign, data: '\ud800' })).toMatch('half of a surrogate pair')
    expect(messageProblem({ ...message, data: new Uint8Array([1]) })).toMatch('is an instance of Uint8Array')
  })

  const cyclic: Record<string, unknown> = {}
  cyclic['self'] = cyclic
  it.each<[string, unknown, string]>([
    ['null', null, 'is no object'],
    ['text', 'message', 'is no object'],
    ['another specversion', { ...message, specversion: '0.3' }, 'specversion'],
    ['no id', { ...message, id: undefined }, 'a wrong id: it is not a string'],
    ['a time that is a number', { ...message, time: 5 }, 'a wrong time'],
    ['a time that is none', { ...message, time: 'yesterday' }, 'RFC 3339'],
    ['a version that is text', { ...message, dataversion: '2' }, 'dataversion'],
    ['a key that is a number', { ...message, partitionkey: 7 }, 'a wrong partitionkey'],
    ['an extension that is an object', { ...message, tenant: {} }, 'a wrong tenant'],
    ['an extension by a wrong name', { ...message, 'my-tenant': 'nl' }, '"my-tenant"'],
    ['a Date', { ...message, data: { at: new Date(0) } }, 'data.at is an instance of Date'],
    ['NaN', { ...message, data: [Number.NaN] }, 'data[0] is NaN'],
    ['a BigInt', { ...message, data: 1n }, 'data is a BigInt'],
    ['a cycle', { ...message, data: cyclic }, 'data.self refers back'],
    ['a key that reaches into prototypes', { ...message, data: JSON.parse('{"__proto__":1}') }, '__proto__'],
  ])('is %s', (_what, value, problem) => {
    expect(messageProblem(value)).toMatch(problem)
  })
})
