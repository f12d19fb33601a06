import { describe, expect, it } from 'vitest'
import { systemRandom, VirtualClock } from '../kernel/index.ts'
import { channels, type EngineWaitingReport } from '../telemetry/index.ts'
import { loadKafkaLibrary } from './client-library.ts'
import { Cluster } from './cluster.ts'
import { connectionFault } from './connection-faults.ts'
import { errorCode, refusalOf } from './error-codes.ts'
import { KafkaOutcomeUnknownError, KafkaProgressScatteredError, KafkaStateFileError } from './errors.ts'
import { resolveKafkaOptions } from './options.ts'

const brokers = ['localhost:9092']

async function clusterWith(reconnectTimeoutMs: number | null, clock = new VirtualClock()): Promise<Cluster> {
  const options = resolveKafkaOptions({ brokers, reconnectTimeoutMs })
  return new Cluster(await loadKafkaLibrary(), options, clock, systemRandom)
}

describe('what goes wrong with a cluster', () => {
  it.each([
    'leaderNotAvailable',
    'notEnoughReplicas',
    'requestTimedOut',
    'coordinatorNotAvailable',
    'storageError',
    'throttlingQuotaExceeded',
    'concurrentTransactions',
    // A session that brokers ended says nothing against what was to be written in it.
    'invalidProducerEpoch',
    'producerFenced',
    'transactionAbortable',
  ] as const)('passes, if the brokers answer %s', (name) => {
    expect(refusalOf('Produce', errorCode[name], 'orders')).toMatchObject({ code: 'KAFKA_REFUSED', fault: 'passing' })
  })

  it.each([
    'messageTooLarge',
    'invalidTopic',
    'unknownServerError',
    'topicDeletionDisabled',
    'nonEmptyGroup',
    'unsupportedVersion',
    'topicAuthorizationFailed',
    'groupAuthorizationFailed',
    'transactionalIdAuthorizationFailed',
    'invalidConfig',
  ] as const)('is not said to pass, if the brokers answer %s', (name) => {
    expect(refusalOf('Produce', errorCode[name], 'orders')).not.toHaveProperty('fault')
  })

  it('passes, if a broker cannot be reached; not, if it refuses the login', () => {
    const options = resolveKafkaOptions({ brokers })
    const address = { host: 'localhost', port: 9092 }
    const refused = Object.assign(new Error('connect ECONNREFUSED'), { code: 'ECONNREFUSED' })
    expect(connectionFault(refused, address, options)).toMatchObject({ code: 'KAFKA_UNREACHABLE', fault: 'passing' })
    const login = Object.assign(new Error('no'), { code: 'PLT_KFK_AUTHENTICATION' })
    expect(connectionFault(login, address, options)).toMatchObject({ code: 'KAFKA_LOGIN_REFUSED' })
    expect(connectionFault(login, address, options)).not.toHaveProperty('fault')
  })

  it('lasts, once brokers were gone for as long as a program that runs shall wait; else it passes', async () => {
    const cluster = await clusterWith(0)
    const gone = async (): Promise<never> => {
      throw cluster.obstacle('it is gone')
    }
    const unreachable = { code: 'KAFKA_UNREACHABLE', details: { reason: 'it is gone' } }
    await expect(cluster.persist(gone, cluster.lasting)).rejects.toMatchObject({ ...unreachable, fault: 'lasting' })
    await expect(cluster.persist(gone, { limitMs: 0 })).rejects.toMatchObject({ ...unreachable, fault: 'passing' })
    // What is looked up on the way is one of the obstacles, and no end.
    const within = (): Promise<never> => cluster.persist(gone, cluster.within(cluster.lasting))
    await expect(within()).rejects.toMatchObject({ fault: 'passing' })
    await expect(cluster.persist(within, cluster.lasting)).rejects.toMatchObject({ fault: 'lasting' })
  })

  it('is told on a channel while it is waited for', async () => {
    const clock = new VirtualClock()
    const cluster = await clusterWith(null, clock)
    const reports: EngineWaitingReport[] = []
    const listen = (report: EngineWaitingReport): void => void reports.push(report)
    channels.engineWaiting.subscribe(listen)
    try {
      let isBack = false
      const waiting = cluster.persist(async () => {
        if (!isBack) throw cluster.obstacle('it is gone')
      }, cluster.lasting)
      for (let second = 0; second < 5; second++) await clock.advance('1s')
      isBack = true
      await clock.advance('2s')
      await waiting
      expect(reports).toMatchObject([{ engine: 'kafka', error: { code: 'KAFKA_UNREACHABLE' } }])
      expect(reports[0]?.waitedMs).toBeGreaterThanOrEqual(3000)
    } finally {
      channels.engineWaiting.unsubscribe(listen)
    }
  })

  it.each([
    [new KafkaOutcomeUnknownError(1000), 'lasting'],
    [new KafkaStateFileError('state.db', 'the disk is full'), 'lasting'],
    [new KafkaProgressScatteredError('g', 'orders', 0, 4096), 'passing'],
  ])('is told by the error: %s', (error, fault) => {
    expect(error.fault).toBe(fault)
  })
})
