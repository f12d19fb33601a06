import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testHandlerRegister } from './command-register-cases.test-support.ts'

describe('on the embedded engine', () => {
  testHandlerRegister(embeddedGround())
})
