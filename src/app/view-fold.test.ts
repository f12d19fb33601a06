import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testViewFold } from './view-fold-cases.test-support.ts'

describe('on the embedded engine', () => {
  testViewFold(embeddedGround())
})
