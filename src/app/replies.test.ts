import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { deployment } from '../bridge/index.ts'
import { accountDecider, Deposit, Open } from '../domain/account.test-support.ts'
import { answer } from '../domain/index.ts'
import { type EmbeddedEngine, embedded } from '../embedded/index.ts'
import { type Engine, OffsetOutOfRangeError } from '../engine/index.ts'
import { type Message, query, topicOfDefinition } from '../message/index.ts'
import { engineWith, gate, messagesOf } from './app.test-support.ts'
import { AskTimeoutError, app, type RunningApp, service } from './index.ts'

const GetText = query('GetText', { params: z.object({ length: z.number() }), result: z.string() })
const getText = answer(GetText, ({ data }) => 'x'.repeat(data.length))
const bank = app('bank', { services: [service('accounts', [accountDecider(), getText])] })
const front = app('front', { remote: [Open, Deposit, GetText] })
const replies = 'front.replies'

async function typesOf(engine: Engine, stream: string): Promise<string[]> {
  return (await Array.fromAsync(engine.events.readStream(stream))).map(({ message }) => message.type)
}

/** A command as an app asks it that is called `front`. */
const asked = (command: Message): Message => Object.freeze({ ...command, replyto: replies })

/** Puts a message on the topic where its definition says, as a process of its own would. */
async function leave(engine: Engine, topic: string, message: Message): Promise<void> {
  await engine.commit({ publish: [{ topic, messages: [message] }] })
}

/** Makes an engine. */
type Ground = () => Promise<EmbeddedEngine>

const memory = (): ReturnType<typeof embedded> => embedded({ path: ':memory:' })

/** Both apps, after one command. */
async function conversing(
  ground: Ground,
): Promise<
  { readonly engine: EmbeddedEngine; readonly asker: RunningApp; readonly answerer: RunningApp } & AsyncDisposable
> {
  const engine = await ground()
  const answerer = await bank.start({ engine })
  const asker = await front.start({ engine })
  await asker.ask(Open({ id: 'a' }))
  return {
    engine,
    asker,
    answerer,
    [Symbol.asyncDispose]: async () => {
      await asker.stop()
      await answerer.stop()
      await engine.close()
    },
  }
}

const grounds: [string, Ground][] = [
  ['one engine', () => memory().open()],
  // It has what the tests use of an embedded one.
  [
    'two engines',
    () => deployment({ topics: memory(), store: memory() }).open() as Promise<unknown> as Promise<EmbeddedEngine>,
  ],
]

describe.each(grounds)('on %s', (_how, ground) => {
  describe('a command or query whose asker is gone', () => {
    it.each([
      ['as is its topic', true],
      ['while its topic is there', false],
    ])('is handled, %s', async (_what, isDeleted) => {
      await using engine = await ground()
      {
        await using asker = await front.start({ engine })
        await expect(asker.ask(Open({ id: 'a' }), { timeout: 20 })).rejects.toThrow(AskTimeoutError)
        await expect(asker.query(GetText, { length: 3 }, { timeout: 20 })).rejects.toThrow(AskTimeoutError)
      }
      if (isDeleted) await engine.topics.delete(replies)
      await using answerer = await bank.start({ engine })
      await answerer.idle()
      expect(await typesOf(engine, 'account-a')).toEqual(['Opened'])
      expect(await answerer.deadLetters.list()).toEqual([])
      expect((await engine.topics.describe(replies)) === undefined).toBe(isDeleted)
    })

    it('is handled though its topic is deleted after it was replied to there before', async () => {
      await using pair = await conversing(ground)
      const { engine, asker, answerer } = pair
      await asker.stop()
      await engine.topics.delete(replies)
      await leave(engine, topicOfDefinition(Deposit), asked(Deposit({ id: 'a', amount: 5 })))
      await leave(engine, topicOfDefinition(GetText), asked(GetText({ length: 3 })))
      await answerer.idle()
      expect(await typesOf(engine, 'account-a')).toEqual(['Opened', 'Deposited'])
      expect(await answerer.deadLetters.list()).toEqual([])
    })
  })

  describe('a reply', () => {
    it('that comes too late is for nobody, and whoever asks again has the same outcome', async () => {
      await using engine = await ground()
      await using asker = await front.start({ engine })
      const open = Open({ id: 'a' })
      await expect(asker.ask(open, { timeout: 20 })).rejects.toThrow(AskTimeoutError)
      const again = asker.ask(open)
      await using answerer = await bank.start({ engine })
      // Two commands, two replies; the first of them is as good as the second.
      expect(await again).toMatchObject({ kind: 'accepted', events: [{ data: { id: 'a' } }] })
      expect(await asker.ask(open)).toMatchObject({ kind: 'accepted', repeated: true })
      await answerer.idle()
      expect(await typesOf(engine, 'account-a')).toEqual(['Opened'])
      expect(await asker.query(GetText, { length: 3 })).toBe('xxx')
    })

    it('that comes twice, for nobody, or is none, disturbs nobody', async () => {
      await using pair = await conversing(ground)
      const { engine, asker } = pair
      const [first] = (await messagesOf(engine, replies)) as Message[]
      const forged = [
        first as Message,
        { ...first, causationid: 'nobody' },
        { ...first, causationsource: 7 },
        { ...first, data: null },
        { ...first, type: 'Other' },
      ] as Message[]
      for (const message of forged) await leave(engine, replies, { ...message, id: `${message.id}-again` })
      const deposits = Array.from({ length: 20 }, (_, n) => asker.ask(Deposit({ id: 'a', amount: n + 1 })))
      for (const message of forged) await leave(engine, replies, { ...message, id: `${message.id}-more` })
      const amounts = (await Promise.all(deposits)).map((one) => one.kind === 'accepted' && one.events[0]?.data)
      expect(amounts).toEqual(Array.from({ length: 20 }, (_, n) => ({ id: 'a', amount: n + 1 })))
    })

    it('that says nothing is told as one that nobody understands', async () => {
      await using engine = await ground()
      await using asker = await front.start({ engine })
      const open = Open({ id: 'a' })
      const asking = asker.ask(open).catch((error: unknown) => error)
      while ((await messagesOf(engine, topicOfDefinition(Open))).length === 0)
        await new Promise((resolve) => setImmediate(resolve))
      const { source } = open
      const reply = {
        ...open,
        id: 'r',
        type: 'millrace.Replied',
        causationid: open.id,
        causationsource: source,
        data: null,
      }
      await leave(engine, replies, reply)
      expect(await asking).toMatchObject({ code: 'ASK_FAILED', message: expect.stringContaining('this program knows') })
    })

    it('that cannot be written is told as that, and nothing of the command is', async () => {
      await using engine = await ground()
      await engine.topics.ensure(replies, { partitions: 1, recordBytesMax: 1500 })
      await using answerer = await bank.start({ engine })
      await using asker = await front.start({ engine })
      const id = 'x'.repeat(400)
      const refused = { code: 'ASK_FAILED', message: expect.stringContaining('nothing was written') as string }
      await expect(asker.ask(Open({ id }))).rejects.toMatchObject(refused)
      await expect(asker.query(GetText, { length: 3000 })).rejects.toMatchObject(refused)
      expect(await typesOf(engine, `account-${id}`)).toEqual([])
      expect(await asker.query(GetText, { length: 3 })).toBe('xxx')
      await answerer.idle()
      expect(await answerer.deadLetters.list()).toEqual([])
      // Whoever wants no reply gets no refusal.
      await asker.send(Open({ id }))
      await answerer.idle()
      expect(await typesOf(engine, `account-${id}`)).toEqual(['Opened'])
    })
  })

  describe('an app that asks', () => {
    it('goes on when the topic of its replies was deleted', async () => {
      await using pair = await conversing(ground)
      const { engine, asker, answerer } = pair
      await engine.topics.delete(replies)
      expect(await asker.ask(Deposit({ id: 'a', amount: 1 }))).toMatchObject({ kind: 'accepted' })
      expect(await answerer.deadLetters.list()).toEqual([])
      expect(await typesOf(engine, 'account-a')).toEqual(['Opened', 'Deposited'])
    })

    it('goes on when replies were forgotten that it has not read', async () => {
      await using engine = await ground()
      await using _answerer = await bank.start({ engine })
      let isBehind = false
      const read: typeof engine.topics.read = async (request) => {
        if (isBehind && request.topic === replies) {
          isBehind = false
          throw new OffsetOutOfRangeError(replies, 0, request.offset, 1, 2)
        }
        return engine.topics.read({ ...request, waitMs: 20 })
      }
      await using asker = await front.start({ engine: engineWith(engine, 'topics', { read }) })
      await asker.ask(Open({ id: 'a' }))
      isBehind = true
      while (isBehind) await new Promise((resolve) => setTimeout(resolve, 5))
      expect(await asker.ask(Deposit({ id: 'a', amount: 1 }))).toMatchObject({ kind: 'accepted' })
    })

    it('sends nothing that nobody wants any more', async () => {
      await using engine = await ground()
      const [held, release] = [gate(), gate()]
      const ensure: typeof engine.topics.ensure = async (topic, config) => {
        if (topic === topicOfDefinition(Open)) {
          held.open()
          await release.opened
        }
        return engine.topics.ensure(topic, config)
      }
      await using asker = await front.start({ engine: engineWith(engine, 'topics', { ensure }) })
      const abort = new AbortController()
      const asking = asker.ask(Open({ id: 'a' }), { signal: abort.signal }).catch((error: unknown) => error)
      await held.opened
      abort.abort(new Error('never mind'))
      release.open()
      expect(await asking).toMatchObject({ message: 'never mind' })
      // What comes after it shows that it was not sent before.
      await asker.send(Open({ id: 'b' }))
      expect((await messagesOf(engine, topicOfDefinition(Open))).map(({ data }) => data.id)).toEqual(['b'])
    })
  })
})
