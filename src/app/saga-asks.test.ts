import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testSagaAsks } from './saga-asks-cases.test-support.ts'

describe('on the embedded engine', () => {
  testSagaAsks(embeddedGround())
})
