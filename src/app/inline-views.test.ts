import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testInlineViews } from './inline-views-cases.test-support.ts'

describe('on the embedded engine', () => {
  testInlineViews(embeddedGround())
})
