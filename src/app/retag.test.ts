import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testRetag } from './retag-cases.test-support.ts'

describe('on the embedded engine', () => {
  testRetag(embeddedGround())
})
