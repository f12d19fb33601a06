import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testInlineCounting } from './inline-counting-cases.test-support.ts'

describe('on the embedded engine', () => {
  testInlineCounting(embeddedGround())
})
