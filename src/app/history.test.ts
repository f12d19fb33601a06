import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testHistory } from './history-cases.test-support.ts'
import { testViewPastMissing } from './view-past-missing-cases.test-support.ts'

describe('on the embedded engine', () => {
  const ground = embeddedGround()
  testHistory(ground)
  testViewPastMissing(ground)
})
