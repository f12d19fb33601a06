import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testInlineStops } from './inline-stops-cases.test-support.ts'

describe('on the embedded engine', () => {
  testInlineStops(embeddedGround())
})
