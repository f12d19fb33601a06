import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testInlineForgetting } from './inline-forgetting-cases.test-support.ts'

describe('on the embedded engine', () => {
  testInlineForgetting(embeddedGround())
})
