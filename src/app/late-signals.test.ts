import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testLateSignals } from './late-signals-cases.test-support.ts'

describe('on the embedded engine', () => {
  testLateSignals(embeddedGround())
})
