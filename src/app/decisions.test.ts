import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testDecisions } from './decisions-cases.test-support.ts'

describe('on the embedded engine', () => {
  testDecisions(embeddedGround())
})
