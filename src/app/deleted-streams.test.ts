import { describe } from 'vitest'
import { embeddedGround } from './app-ground.test-support.ts'
import { testDeletedStreams } from './deleted-streams-cases.test-support.ts'

describe('on the embedded engine', () => {
  testDeletedStreams(embeddedGround())
})
