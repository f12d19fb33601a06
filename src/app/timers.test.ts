import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testTimers } from './timers-cases.test-support.ts'

describe('on the embedded engine', () => {
  testTimers(embeddedGround())
})
