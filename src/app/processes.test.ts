import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testProcesses } from './processes-cases.test-support.ts'

describe('on the embedded engine', () => {
  testProcesses(embeddedGround())
})
