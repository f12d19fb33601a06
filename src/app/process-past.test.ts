import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testProcessPast } from './process-past-cases.test-support.ts'

describe('on the embedded engine', () => {
  testProcessPast(embeddedGround())
})
