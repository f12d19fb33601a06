import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeAll } from 'vitest'
import type { Engine } from '../engine/index.ts'
import { type KafkaOptions, kafka } from '../kafka/index.ts'
import { sharedServer } from '../kafka/real-server.test-support.ts'

/** Kafka as the only engine of apps, one for each process that a test plays. */
export interface KafkaGround {
  /** The servers that a client asks first; known once the tests run. */
  readonly brokers: () => readonly string[]
  /** Opens an engine as another process would: its state is in a folder of its own, which goes with the test. */
  readonly open: (prefix: string, options?: Partial<KafkaOptions>) => Promise<Engine>
}

/** Call it inside a `describe`, which then needs a real server. */
export function kafkaGround(): KafkaGround {
  let brokers: readonly string[] = []
  const folders: string[] = []
  beforeAll(async () => {
    brokers = (await sharedServer()).bootstrapBrokers
  }, 600_000)
  afterEach(() => {
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
  })
  return {
    brokers: () => brokers,
    open: (prefix, options = {}) => {
      const folder = mkdtempSync(join(tmpdir(), 'millrace-kafka-app-'))
      folders.push(folder)
      return kafka({ brokers, prefix, state: { folder }, heartbeatIntervalMs: 100, ...options }).open()
    },
  }
}
