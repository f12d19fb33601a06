import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testBoundaries } from './boundaries-cases.test-support.ts'

describe('on the embedded engine', () => {
  testBoundaries(embeddedGround())
})
