import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testDelayedCommands } from './delayed-commands-cases.test-support.ts'

describe('on the embedded engine', () => {
  testDelayedCommands(embeddedGround())
})
