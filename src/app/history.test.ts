import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testHistory } from './history-cases.test-support.ts'
import { testViewPast } from './view-past-cases.test-support.ts'

describe('on the embedded engine', () => {
  const ground = embeddedGround()
  testHistory(ground)
  testViewPast(ground)
})
