import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testViewCopies } from './view-copies-cases.test-support.ts'

describe('on the embedded engine', () => {
  testViewCopies(embeddedGround())
})
