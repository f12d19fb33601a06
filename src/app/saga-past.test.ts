import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testSagaPast } from './saga-past-cases.test-support.ts'

describe('on the embedded engine', () => {
  testSagaPast(embeddedGround())
})
