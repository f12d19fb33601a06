import { readFileSync } from 'node:fs'
import { beforeAll, describe, expect, it } from 'vitest'
import type { KafkaConnection } from '../../scripts/servers/index.ts'
import { systemClock } from '../kernel/index.ts'
import { type KafkaOptions, type KafkaSasl, kafka } from './index.ts'
import { freshName, serversWanted, sharedServer, texts, valuesOf } from './real-server.test-support.ts'

/** A token that nobody signed: RFC 7519, section 6. */
function unsignedToken(subject: string): string {
  const nowS = Math.floor(systemClock.nowMs() / 1000)
  const encode = (part: object): string => Buffer.from(JSON.stringify(part)).toString('base64url')
  return `${encode({ alg: 'none' })}.${encode({ sub: subject, iat: nowS, exp: nowS + 600 })}.`
}

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('logging in and encryption', () => {
  let server: KafkaConnection
  beforeAll(async () => {
    server = await sharedServer()
  }, 600_000)

  const saslOf = (mechanism: KafkaSasl['mechanism'], isFunction: boolean): KafkaSasl => {
    const { username, password } = server.sasl
    if (mechanism === 'OAUTHBEARER') {
      const token = unsignedToken(username)
      return { mechanism, token: isFunction ? async () => token : token }
    }
    return { mechanism, username, password: isFunction ? async () => password : password }
  }

  async function writesAndReads(options: KafkaOptions): Promise<void> {
    await using engine = await kafka(options).open()
    const topic = freshName('secured')
    await engine.topics.create(topic, { partitions: 2 })
    await engine.commit({ publish: [0, 1].map((partition) => ({ topic, partition, records: texts('x') })) })
    expect(await valuesOf(engine, topic)).toEqual(['x'])
    await engine.topics.delete(topic)
  }

  it.each(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512', 'OAUTHBEARER'] as const)('works by %s', async (mechanism) => {
    await writesAndReads({ brokers: server.listeners.saslPlaintext, sasl: saslOf(mechanism, false) })
    const tls = { ca: readFileSync(server.tls.caPath) }
    await writesAndReads({ brokers: server.listeners.saslSsl, tls, sasl: saslOf(mechanism, true) })
  })

  it('works over TLS, with a certificate of its own and without', async () => {
    const ca = readFileSync(server.tls.caPath)
    const own = { cert: readFileSync(server.tls.clientCertificatePath), key: readFileSync(server.tls.clientKeyPath) }
    await writesAndReads({ brokers: server.listeners.ssl, tls: { ca } })
    await writesAndReads({ brokers: server.listeners.ssl, tls: { ca, ...own } })
  })

  const refused = (options: KafkaOptions, code: string): Promise<void> =>
    expect(kafka({ callTimeoutMs: 2000, connectTimeoutMs: 2000, ...options }).open()).rejects.toMatchObject({ code })

  it('tells a wrong password, and does not try it again and again', async () => {
    for (const mechanism of ['PLAIN', 'SCRAM-SHA-256'] as const) {
      const sasl = { mechanism, username: server.sasl.username, password: 'wrong' }
      await refused({ brokers: server.listeners.saslPlaintext, sasl }, 'KAFKA_LOGIN_REFUSED')
    }
  })

  it('tells a certificate of an authority that it does not know, or of another name', async () => {
    await refused({ brokers: server.listeners.ssl, tls: true }, 'KAFKA_TLS_REFUSED')
    const ca = readFileSync(server.tls.caPath)
    const tls = { ca, servername: 'elsewhere.example' }
    await refused({ brokers: server.listeners.ssl, tls }, 'KAFKA_TLS_REFUSED')
  })

  it('tells that a listener speaks TLS where none was asked for', async () => {
    await refused({ brokers: server.listeners.ssl }, 'KAFKA_TLS_REFUSED')
  })

  it('tells when nobody answers', async () => {
    await refused({ brokers: ['127.0.0.1:1', 'localhost:2'] }, 'KAFKA_UNREACHABLE')
  })
})
