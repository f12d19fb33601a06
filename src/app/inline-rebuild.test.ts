import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testInlineRebuild } from './inline-rebuild-cases.test-support.ts'

describe('on the embedded engine', () => {
  testInlineRebuild(embeddedGround())
})
