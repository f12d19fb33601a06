import { runInNewContext } from 'node:vm'
import { type } from 'arktype'
import * as v from 'valibot'
import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import type { OptionsInvalidError } from '../kernel/index.ts'
import { command, type DataInvalidError, event, extensionOf, query, upcastFrom } from './index.ts'

function thrownBy(fn: () => unknown): unknown {
  try {
    fn()
  } catch (error) {
    return error
  }
  throw new Error('Nothing was thrown.')
}

const lines = [{ article: '85123A', quantity: 6 }]

describe.each([
  [
    'zod',
    event('OrderPlaced', {
      data: z.object({ orderId: z.string(), lines: z.array(z.object({ article: z.string(), quantity: z.number() })) }),
      key: (d) => d.orderId,
    }),
  ],
  [
    'valibot',
    event('OrderPlaced', {
      data: v.object({ orderId: v.string(), lines: v.array(v.object({ article: v.string(), quantity: v.number() })) }),
      key: (d) => d.orderId,
    }),
  ],
  [
    'arktype',
    event('OrderPlaced', {
      data: type({ orderId: 'string', lines: type({ article: 'string', quantity: 'number' }).array() }),
      key: (d) => d.orderId,
    }),
  ],
] as const)('an event with a schema of %s', (_vendor, OrderPlaced) => {
  it('creates a frozen CloudEvents envelope', () => {
    const message = OrderPlaced({ orderId: '536365', lines })
    expect(message).toStrictEqual({
      specversion: '1.0',
      id: expect.stringMatching(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/),
      source: 'urn:millrace:app',
      type: 'OrderPlaced',
      time: expect.stringMatching(/^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/),
      datacontenttype: 'application/json',
      dataversion: 1,
      data: { orderId: '536365', lines },
      partitionkey: '536365',
    })
    expect([message, message.data, message.data.lines, message.data.lines[0]].every(Object.isFrozen)).toBe(true)
  })

  it('leaves the data of the caller alone, whether or not the validator copies it', () => {
    const data = { orderId: '536365', lines: [{ article: '85123A', quantity: 6 }] }
    const message = OrderPlaced(data)
    data.orderId = 'changed'
    data.lines.push({ article: '22423', quantity: 1 })
    expect(message.data).toStrictEqual({ orderId: '536365', lines })
  })

  it('refuses data that does not fit, naming the place', () => {
    const bad = { orderId: '1', lines: [{ article: 'a', quantity: 'six' }] } as never
    expect(() => OrderPlaced(bad)).toThrow(
      expect.objectContaining({
        code: 'DATA_INVALID',
        details: expect.objectContaining({
          type: 'OrderPlaced',
          issues: [expect.objectContaining({ path: 'data.lines[0].quantity' })],
        }),
      }),
    )
  })
})

describe('creating a message', () => {
  it('applies what the schema makes of the data, and copies what the schema passes through', () => {
    const Noted = event('Noted', { data: z.object({ text: z.string().trim(), meta: z.unknown() }) })
    const meta = { deep: [1] }
    const message = Noted({ text: ' hello ', meta })
    expect(message.data).toStrictEqual({ text: 'hello', meta: { deep: [1] } })
    expect([Object.isFrozen(meta), Object.isFrozen(meta.deep)]).toEqual([false, false])
  })

  it('refuses what JSON cannot carry even if the schema lets it pass', () => {
    const Seen = event('Seen', { data: z.object({ lines: z.array(z.object({ at: z.any() })) }) })
    expect(() => Seen({ lines: [{ at: 1 }, { at: new Date(0) }] })).toThrow(
      expect.objectContaining({ code: 'JSON_INVALID', details: expect.objectContaining({ path: 'data.lines[1].at' }) }),
    )
  })

  it('refuses a schema that answers with a promise of another realm', () => {
    const later = runInNewContext('Promise.resolve({ value: {} })') as never
    const schema = { '~standard': { version: 1, vendor: 'test', validate: () => later } } as const
    expect(() => event('Slow', { data: schema })({})).toThrow(expect.objectContaining({ code: 'SCHEMA_ASYNC' }))
  })

  it('refuses an asynchronous schema and leaves no rejected promise behind', async () => {
    const rejections: unknown[] = []
    const note = (reason: unknown): void => {
      rejections.push(reason)
    }
    process.on('unhandledRejection', note)
    const schema = {
      '~standard': { version: 1, vendor: 'test', validate: () => Promise.reject(new Error('later')) },
    } as const
    expect(() => event('Slow', { data: schema })({})).toThrow(expect.objectContaining({ code: 'SCHEMA_ASYNC' }))
    await new Promise((resolve) => setImmediate(resolve))
    process.off('unhandledRejection', note)
    expect(rejections).toEqual([])
  })

  it('shows the first findings of a schema and keeps all', () => {
    const Listed = event('Listed', { data: z.array(z.string()) })
    const error = thrownBy(() => Listed(Array.from({ length: 50_000 }, () => 1) as never)) as DataInvalidError
    expect(error.details.issues).toHaveLength(50_000)
    expect(error.message).toMatch(/data\[9\].*; and 49990 more\. /)
    expect(error.message.length).toBeLessThan(2_000)
  })

  it('has null as data without a schema, and refuses any other', () => {
    const Ticked = event('Ticked')
    expect(Ticked().data).toBeNull()
    expect(() => Ticked({ a: 1 } as never)).toThrow(expect.objectContaining({ code: 'DATA_INVALID' }))
  })

  it('takes attributes of the definition and overrides of the caller', () => {
    const Paid = event('Paid', {
      data: z.object({ id: z.string() }),
      version: 3,
      key: (d) => d.id,
      subject: (d) => `payments/${d.id}`,
      dataschema: 'https://schemas.example/paid/3',
      dataclassification: 'confidential',
    })
    expect(Paid({ id: '7' })).toMatchObject({
      dataversion: 3,
      subject: 'payments/7',
      partitionkey: '7',
      dataschema: 'https://schemas.example/paid/3',
      dataclassification: 'confidential',
    })
    const overrides = {
      id: 'pay-7',
      time: '2010-12-01T08:26:00Z',
      source: '/shop/payment',
      subject: 'other',
      partitionkey: 'k',
      correlationid: 'c',
      causationid: 'd',
      traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
      tracestate: 'a=b',
      sequence: '00042',
      dataschema: '#x',
      dataclassification: 'public',
    }
    const message = Paid({ id: '7' }, { ...overrides, extensions: { tenant: 'nl', retries: 3, test: true } })
    expect(message).toMatchObject({ ...overrides, tenant: 'nl', retries: 3, test: true })
    expect(['tenant', 'retries', 'test', 'toString', 'data'].map((name) => extensionOf(message, name))).toEqual([
      'nl',
      3,
      true,
      undefined,
      undefined,
    ])
  })

  it.each([
    [{ id: '' }, 'id'],
    [{ id: 'a\nb' }, 'id'],
    [{ subject: '\ud800' }, 'subject'],
    [{ source: 'not a uri' }, 'source'],
    [{ dataschema: '<x>' }, 'dataschema'],
    [{ time: 'yesterday' }, 'time'],
    [{ partitionkey: 7 as never }, 'partitionkey'],
    [{ tenant: 'nl' } as never, 'tenant'],
    [{ extensions: { Tenant: 'nl' } }, '"Tenant"'],
    [{ extensions: { data: 'x' } }, '"data"'],
    [{ extensions: JSON.parse('{"__proto__":"x"}') }, '"__proto__"'],
    [{ extensions: { id: 'x' } }, 'id'],
    [{ extensions: { big: 2 ** 31 } }, 'big'],
    [{ extensions: { half: 0.5 } }, 'half'],
    [{ extensions: { list: [] as never } }, 'list'],
    [{ extensions: null as never }, 'extensions'],
    [{ extensions: ['x'] as never }, 'extensions'],
    [{ type: 'Other' } as never, 'type'],
    [{ dataversion: 2 } as never, 'dataversion'],
    [null as never, 'overrides'],
    [7 as never, 'overrides'],
  ])('refuses the attributes %j', (overrides, attribute) => {
    expect(() => event('Ticked')(null, overrides)).toThrow(
      expect.objectContaining({ code: 'ATTRIBUTE_INVALID', details: expect.objectContaining({ attribute }) }),
    )
  })

  it('refuses a key that is empty or no text', () => {
    const Keyed = event('Keyed', { data: z.object({ k: z.custom<string>() }), key: (d) => d.k })
    for (const k of ['', 7, null, undefined, 'a\nb']) {
      expect(() => Keyed({ k: k as string })).toThrow(expect.objectContaining({ code: 'ATTRIBUTE_INVALID' }))
    }
    expect(Keyed({ k: 'ö ü' }).partitionkey).toBe('ö ü')
  })
})

describe('a definition', () => {
  const GetOrder = query('GetOrder', {
    params: z.object({ orderId: z.string() }),
    result: z.object({ total: z.string() }),
  })

  it('is immutable and tells what it is', () => {
    const Shipped = event('Shipped', { kind: 'integration', topic: { name: 'shipping' }, version: 2, doc: 'It left.' })
    expect({ ...Shipped }).toMatchObject({
      messageKind: 'event',
      type: 'Shipped',
      version: 2,
      oldestVersion: 2,
      kind: 'integration',
      topic: 'shipping',
      doc: 'It left.',
      thin: undefined,
    })
    expect(Shipped.name).toBe('Shipped')
    expect(Object.isFrozen(Shipped)).toBe(true)
    expect({ ...event('Ticked') }).toMatchObject({ version: 1, kind: 'domain', topic: 'events' })
    expect({ ...command('Ship') }).toMatchObject({ messageKind: 'command', queue: 'commands' })
    expect(command('Ship', { queue: 'shipping' }).queue).toBe('shipping')
    expect({ ...GetOrder }).toMatchObject({ messageKind: 'query', type: 'GetOrder' })
  })

  it('links a notification event to the query that fetches the rest', () => {
    const Changed = event('OrderChanged', {
      data: z.object({ id: z.string() }),
      thin: { query: GetOrder, params: (d) => ({ orderId: d.id }) },
    })
    const changed = Changed({ id: '7' })
    const question = Changed.thin.query(Changed.thin.params(changed.data))
    expect(question).toMatchObject({ type: 'GetOrder', data: { orderId: '7' } })
  })

  it('gives the partition key of data', () => {
    expect(event('K', { data: z.object({ k: z.string() }), key: (d) => d.k }).keyOf({ k: 'a' })).toBe('a')
    expect(event('K').keyOf(null)).toBeUndefined()
  })

  it('names all options that are wrong, together', () => {
    const upcast = upcastFrom(1, () => 1) as never
    const options = {
      version: 0,
      kind: 'public',
      topic: '',
      data: {},
      key: 'orderId',
      subject: 7,
      doc: 7,
      vesrion: 2,
      dataschema: 'a b',
      dataclassification: '',
      upcast,
    }
    const thin = { query: event('E'), params: 'orderId' }
    const error = thrownBy(() => event('two words', { ...options, thin } as never))
    expect(error).toMatchObject({ code: 'OPTIONS_INVALID' })
    const { problems } = (error as OptionsInvalidError).details
    const named = problems.map((problem) => problem.option).toSorted()
    expect(named).toEqual(
      [
        'type',
        'version',
        'kind',
        'topic',
        'data',
        'dataschema',
        'dataclassification',
        'upcast',
        'key',
        'subject',
        'doc',
        'vesrion',
        'thin.query',
        'thin.params',
      ].toSorted(),
    )
  })

  it.each([null, 5, 'topic', []])('refuses %j for its options', (options) => {
    for (const define of [event, command, query] as ((type: string, options: unknown) => unknown)[]) {
      expect(() => define('Named', options)).toThrow(
        expect.objectContaining({ code: 'OPTIONS_INVALID', problem: expect.stringContaining('options is no object') }),
      )
    }
    expect(() => (query as (type: string) => unknown)('Named')).toThrow(
      expect.objectContaining({ code: 'OPTIONS_INVALID' }),
    )
  })

  it.each(['', 'a b', 'tab\t', 'nul\0', 'x'.repeat(256), '\u200b'])('refuses the type name %j', (name) => {
    expect(() => event(name)).toThrow(expect.objectContaining({ code: 'OPTIONS_INVALID' }))
  })

  it('takes type names of any script', () => {
    expect(event('com.example.Überwiesen')().type).toBe('com.example.Überwiesen')
  })
})
