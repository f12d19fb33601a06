import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testViews } from './views-cases.test-support.ts'

describe('on the embedded engine', () => {
  testViews(embeddedGround())
})
