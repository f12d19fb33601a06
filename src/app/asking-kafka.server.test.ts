import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { answer } from '../domain/index.ts'
import { freshName } from '../kafka/real-server.test-support.ts'
import { query } from '../message/index.ts'
import { serversWanted } from '../postgres/real-server.test-support.ts'
import { AskTimeoutError, app, service } from './index.ts'
import { kafkaGround } from './kafka-ground.test-support.ts'

const GetText = query('GetText', { params: z.object({ length: z.number() }), result: z.string() })
const bank = app('bank', {
  services: [service('texts', [answer(GetText, ({ data }) => 'x'.repeat(data.length))])],
})
const front = app('front', { remote: [GetText] })

// Skipped because it needs a real server: `npm run test:engines` runs it.
describe.skipIf(!serversWanted)('apps in two processes on Kafka', { timeout: 60_000 }, () => {
  const { open } = kafkaGround()

  it('ask each other, also after the topic of replies was deleted and one who asked is gone', async () => {
    const prefix = `${freshName('asking')}.`
    await using one = await open(prefix)
    await using two = await open(prefix)
    {
      await using asker = await front.start({ engine: two })
      await expect(asker.query(GetText, { length: 1 }, { timeout: 20 })).rejects.toThrow(AskTimeoutError)
      // Who asked may give up before the topic of replies is there.
      await expect.poll(() => two.topics.describe('front.replies')).toBeDefined()
    }
    await two.topics.delete('front.replies')
    await using answerer = await bank.start({ engine: one })
    await answerer.idle()
    expect(await answerer.deadLetters.list()).toEqual([])
    await using asker = await front.start({ engine: two })
    expect(await asker.query(GetText, { length: 3 })).toBe('xxx')
    await two.topics.delete('front.replies')
    expect(await asker.query(GetText, { length: 4 })).toBe('xxxx')
    expect(await answerer.deadLetters.list()).toEqual([])
  })
})
