import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testKeptAttempts } from './kept-attempts-cases.test-support.ts'

describe('on the embedded engine', () => {
  testKeptAttempts(embeddedGround())
})
