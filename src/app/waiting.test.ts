import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testWaiting } from './waiting-cases.test-support.ts'

describe('on the embedded engine', () => {
  testWaiting(embeddedGround())
})
