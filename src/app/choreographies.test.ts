import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testChoreographies } from './choreographies-cases.test-support.ts'

describe('on the embedded engine', () => {
  testChoreographies(embeddedGround())
})
