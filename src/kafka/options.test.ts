import { describe, expect, it } from 'vitest'
import { eventHubs, kafka, redpanda } from './index.ts'
import { addressOf, type KafkaOptions, resolveKafkaOptions } from './options.ts'

const brokers = ['localhost:9092']

describe('options of kafka()', () => {
  it('have defaults', () => {
    expect(resolveKafkaOptions({ brokers })).toMatchObject({
      clientId: 'millrace',
      transactionalIdPrefix: 'millrace',
      groupProtocol: 'auto',
      contentMode: 'binary',
      reconnectTimeoutMs: null,
      requestTimeoutMs: 30_000,
      callTimeoutMs: 60_000,
      tls: undefined,
      sasl: undefined,
    })
    expect(resolveKafkaOptions({ brokers, clientId: 'shop', tls: true })).toMatchObject({
      transactionalIdPrefix: 'shop',
      tls: {},
    })
    expect(resolveKafkaOptions({ brokers, state: { folder: 'f', recordBytesMax: 2 ** 20 } }).state).toEqual({
      folder: 'f',
      topic: 'millrace.state',
      recordBytesMax: 2 ** 20,
    })
    expect(resolveKafkaOptions({ brokers, requestTimeoutMs: 5000 }).callTimeoutMs).toBe(10_000)
    expect(resolveKafkaOptions({ brokers, callTimeoutMs: 5000 }).callTimeoutMs).toBe(5000)
  })

  it.each([
    [{ brokers: [] }, 'brokers'],
    [{ brokers: ['localhost'] }, 'localhost'],
    [{ brokers, clientID: 'x' }, 'clientID'],
    [{ brokers, clientId: '' }, 'clientId'],
    [{ brokers, prefix: 'größe' }, 'prefix'],
    [{ brokers, prefix: 'x'.repeat(101) }, 'prefix'],
    [{ brokers, transactionTimeoutMs: 5 }, 'transactionTimeoutMs'],
    [{ brokers, heartbeatIntervalMs: 0.5 }, 'heartbeatIntervalMs'],
    [{ brokers, requestTimeoutMs: null }, 'requestTimeoutMs'],
    [{ brokers, callTimeoutMs: 10 }, 'callTimeoutMs'],
    [{ brokers, replicationFactor: 0 }, 'replicationFactor'],
    [{ brokers, topicSettings: 'min.insync.replicas=2' }, 'topicSettings'],
    [{ brokers, state: { folder: 'f', recordBytesMax: 2 ** 27 } }, 'state.recordBytesMax'],
    [{ brokers, topicSettings: { 'min.insync.replicas': 2 } }, 'min.insync.replicas'],
    [{ brokers, topicSettings: { 'retention.ms': '1' } }, 'retention.ms'],
    [{ brokers, reconnectTimeoutMs: -1 }, 'reconnectTimeoutMs'],
    [{ brokers, groupProtocol: 'newest' }, 'groupProtocol'],
    [{ brokers, contentMode: 'batched' }, 'contentMode'],
    [{ brokers, sasl: { mechanism: 'GSSAPI' } }, 'sasl.mechanism'],
    [{ brokers, sasl: { mechanism: 'PLAIN', username: 'u' } }, 'sasl.password'],
    [{ brokers, sasl: { mechanism: 'OAUTHBEARER' } }, 'sasl.token'],
    [{ brokers, tls: 'yes' }, 'tls'],
    [null, 'options'],
  ])('that cannot be used are named: %j', (options, named) => {
    expect(() => kafka(options as unknown as KafkaOptions)).toThrow(named)
  })

  it('tell all problems at once', () => {
    const options = { brokers: ['x'], clientId: '', bufferBytesMax: 1 }
    expect(() => kafka(options)).toThrow(/brokers.*clientId.*bufferBytesMax/)
  })

  it.each([
    ['localhost:9092', { host: 'localhost', port: 9092 }],
    ['[::1]:19092', { host: '::1', port: 19092 }],
    ['a.b.example:1', { host: 'a.b.example', port: 1 }],
    ['localhost:0', undefined],
    ['localhost:70000', undefined],
    ['::1:9092', undefined],
    ['kafka://localhost:9092', undefined],
  ])('take the address %s', (broker, address) => {
    expect(addressOf(broker)).toEqual(address)
  })
})

describe('presets', () => {
  it('know where Event Hubs are and how one logs in there', () => {
    const options = eventHubs({ namespace: 'shop', connectionString: 'Endpoint=…', clientId: 'app' })
    expect(resolveKafkaOptions(options)).toMatchObject({
      brokers: ['shop.servicebus.windows.net:9093'],
      tls: {},
      clientId: 'app',
      groupProtocol: 'classic',
      sasl: { mechanism: 'PLAIN', username: '$ConnectionString', password: 'Endpoint=…' },
    })
    const elsewhere = eventHubs({ namespace: 'shop.servicebus.chinacloudapi.cn', connectionString: 'x' })
    expect(elsewhere.brokers).toEqual(['shop.servicebus.chinacloudapi.cn:9093'])
  })

  it.each([{}, undefined, { namespace: '', connectionString: 7 }])('say all that Event Hubs needs: %j', (options) => {
    expect(() => eventHubs(options as never)).toThrow(
      expect.objectContaining({
        code: 'OPTIONS_INVALID',
        message: expect.stringMatching(/namespace is [\s\S]*connectionString is/),
      }),
    )
  })

  it('know which group protocol Redpanda has', () => {
    expect(resolveKafkaOptions(redpanda({ brokers })).groupProtocol).toBe('classic')
  })
})
