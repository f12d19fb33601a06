import { describe } from 'vitest'
import { serversWanted } from '../postgres/real-server.test-support.ts'
import { testFeatures } from './features-on-ground.test-support.ts'
import { bridgedGround } from './server-grounds.test-support.ts'

// Skipped because it needs real servers: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('on Kafka and PostgreSQL', { timeout: 120_000 }, () => {
  testFeatures(bridgedGround())
})
