import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testViewRebuild } from './view-rebuild-cases.test-support.ts'

describe('on the embedded engine', () => {
  testViewRebuild(embeddedGround())
})
