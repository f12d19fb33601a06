import { describe } from 'vitest'
import { serversWanted } from '../postgres/real-server.test-support.ts'
import { testFeatures } from './features-on-ground.test-support.ts'
import { postgresGround } from './server-grounds.test-support.ts'

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('on PostgreSQL', { timeout: 120_000 }, () => {
  testFeatures(postgresGround())
})
