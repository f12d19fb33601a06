import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testViewSwapWatch } from './view-swap-watch-cases.test-support.ts'

describe('on the embedded engine', () => {
  testViewSwapWatch(embeddedGround())
})
