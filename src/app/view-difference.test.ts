import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testViewDifference } from './view-difference-cases.test-support.ts'

describe('on the embedded engine', () => {
  testViewDifference(embeddedGround())
})
