import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testSagaConversations } from './saga-conversations-cases.test-support.ts'

describe('on the embedded engine', () => {
  testSagaConversations(embeddedGround())
})
