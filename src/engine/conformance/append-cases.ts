import assert from 'node:assert/strict'
import type { Message } from '../../message/index.ts'
import type { AppendWrite } from '../write-batch.ts'
import { all, type ConformanceCase, idempotentById, multiStream, survivesClose } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'

function appending(stream: string, messages: readonly Message[], rest: Partial<AppendWrite> = {}): AppendWrite {
  return { stream, events: messages.map((message) => ({ message })), ...rest }
}

async function typesOf(f: Fixture, stream: string): Promise<string[]> {
  return (await f.stream(stream)).map(({ message }) => message.type)
}

/** Appending to streams: versions, expectations, repetition, races. */
export const appendCases: readonly ConformanceCase[] = [
  {
    name: 'append: versions start at 1 and have no gaps, positions rise',
    async run(f) {
      const stream = f.name('stream')
      const { appended } = await f.commit({ append: [appending(stream, [f.message('A'), f.message('B')])] })
      const [first] = appended
      assert.deepEqual(
        [first?.stream, first?.firstVersion, first?.lastVersion, first?.duplicate],
        [stream, 1, 2, false],
      )
      await f.append(stream, 'C')
      const events = await f.stream(stream)
      assert.deepEqual(
        events.map(({ version, message }) => [version, message.type]),
        [
          [1, 'A'],
          [2, 'B'],
          [3, 'C'],
        ],
      )
      assert.equal(events[1]?.position, first?.lastPosition)
      assert.ok((events[0]?.position ?? 0) >= 1)
      assert.ok(events.every(({ position }, index) => index === 0 || position > (events[index - 1]?.position ?? 0)))
    },
  },
  {
    name: 'append: an event comes back whole, with its tags',
    async run(f) {
      const stream = f.name('stream')
      const message = f.message(
        'Whole',
        { a: [1, 'ä', null] },
        { subject: 's', partitionkey: 'k', correlationid: 'c', causationid: 'd', dataversion: 4 },
      )
      const tags = ['order:7', 'kunde:Müller & Söhne', 'x y', 'a:b:c', '😀']
      const before = f.nowMs()
      await f.commit({ append: [{ stream, events: [{ message, tags }, { message: f.message('Plain') }] }] })
      const [whole, plain] = await f.stream(stream)
      assert.deepEqual({ ...whole?.message }, { ...message })
      assert.deepEqual(whole?.tags.toSorted(), tags.toSorted())
      assert.deepEqual(plain?.tags, [])
      assert.ok((whole?.timestampMs ?? 0) >= before && (whole?.timestampMs ?? 0) <= f.nowMs())
    },
  },
  {
    name: 'append: any number of events in one append',
    async run(f) {
      const stream = f.name('stream')
      const { appended } = await f.commit({ append: [appending(stream, f.numbered(2000))] })
      assert.deepEqual([appended[0]?.firstVersion, appended[0]?.lastVersion], [1, 2000])
      assert.deepEqual(
        (await f.stream(stream)).map(({ message }) => message.data),
        Array.from({ length: 2000 }, (_, n) => n),
      )
    },
  },
  {
    name: 'append: expected none takes a new stream only',
    async run(f) {
      const stream = f.name('stream')
      await f.commit({ append: [appending(stream, f.numbered(2), { expected: 'none' })] })
      const conflict = await f.conflict(
        { append: [appending(stream, f.numbered(1), { expected: 'none' })] },
        'stream-version',
      )
      assert.deepEqual([conflict.stream, conflict.expected, conflict.actual], [stream, 'none', 2])
      assert.equal((await f.stream(stream)).length, 2)
    },
  },
  {
    name: 'append: expected exists takes a stream that is there only',
    async run(f) {
      const stream = f.name('stream')
      const write = () => ({ append: [appending(stream, f.numbered(1), { expected: 'exists' as const })] })
      assert.equal((await f.conflict(write(), 'stream-version')).actual, 0)
      assert.equal(await f.engine.events.describeStream(stream), undefined)
      await f.append(stream, 'A')
      await f.commit(write())
      assert.equal((await f.stream(stream)).length, 2)
    },
  },
  {
    name: 'append: an expected version takes exactly that version',
    async run(f) {
      const stream = f.name('stream')
      await f.commit({ append: [appending(stream, f.numbered(1), { expected: 0 })] })
      await f.commit({ append: [appending(stream, f.numbered(2), { expected: 1 })] })
      for (const expected of [0, 1, 2, 4, 1000]) {
        const conflict = await f.conflict(
          { append: [appending(stream, f.numbered(1), { expected })] },
          'stream-version',
        )
        assert.deepEqual([conflict.expected, conflict.actual], [expected, 3])
      }
      assert.equal((await f.stream(stream)).length, 3)
    },
  },
  {
    name: 'append: an expectation that is none is an error',
    async run(f) {
      const stream = f.name('stream')
      for (const expected of [-1, 0.5, Number.NaN, 'some', '1', null]) {
        await refuses(() =>
          f.engine.commit({ append: [appending(stream, f.numbered(1), { expected: expected as number })] }),
        )
      }
      assert.deepEqual(await f.stream(stream), [])
    },
  },
  {
    name: 'append: without an expectation everybody gets through, without gaps',
    async run(f) {
      const stream = f.name('stream')
      const outcomes = await Promise.all(
        Array.from({ length: 50 }, (_, n) => f.commit({ append: [appending(stream, f.numbered(2, n))] })),
      )
      const versions = outcomes.flatMap(({ appended }) => [
        appended[0]?.firstVersion ?? 0,
        appended[0]?.lastVersion ?? 0,
      ])
      assert.deepEqual(
        versions.toSorted((a, b) => a - b),
        Array.from({ length: 100 }, (_, index) => index + 1),
      )
      assert.deepEqual(
        (await f.stream(stream)).map(({ version }) => version),
        Array.from({ length: 100 }, (_, n) => n + 1),
      )
    },
  },
  {
    name: 'append: of many that expect the same version exactly one wins',
    async run(f) {
      const stream = f.name('stream')
      for (const expected of ['none', 1, 2] as const) {
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, () =>
            f.engine.commit({ append: [appending(stream, f.numbered(1), { expected })] }),
          ),
        )
        assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
        for (const outcome of outcomes) assert.ok(outcome.ok || outcome.conflict.kind === 'stream-version')
      }
      assert.equal((await f.stream(stream)).length, 3)
    },
  },
  {
    name: 'append: writers that read, decide and try again lose no update',
    async run(f) {
      const stream = f.name('stream')
      const increment = async (): Promise<void> => {
        for (;;) {
          const events = await f.stream(stream)
          const count = Number(events.at(-1)?.message.data ?? 0)
          const write = appending(stream, [f.message('Counted', count + 1)], { expected: events.length })
          if ((await f.engine.commit({ append: [write] })).ok) return
        }
      }
      await Promise.all(
        Array.from({ length: 8 }, async () => {
          for (let turn = 0; turn < 5; turn++) await increment()
        }),
      )
      assert.deepEqual(
        (await f.stream(stream)).map(({ message }) => message.data),
        Array.from({ length: 40 }, (_, n) => n + 1),
      )
    },
  },
  {
    name: 'append: several streams in one commit, positions in the order of the batch',
    requires: multiStream,
    async run(f) {
      const [a, b] = [f.name('stream'), f.name('stream')]
      const { appended } = await f.commit({
        append: [appending(a, f.numbered(2)), appending(b, f.numbered(1)), appending(a, f.numbered(1))],
      })
      assert.deepEqual(
        appended.map(({ stream, firstVersion, lastVersion }) => [stream, firstVersion, lastVersion]),
        [
          [a, 1, 2],
          [b, 1, 1],
          [a, 3, 3],
        ],
      )
      const positions = appended.map(({ lastPosition }) => lastPosition)
      assert.deepEqual(
        positions,
        positions.toSorted((x, y) => x - y),
      )
      assert.deepEqual(
        [await f.stream(a), await f.stream(b)].map(({ length }) => length),
        [3, 1],
      )
    },
  },
  {
    name: 'append: a later append of a batch sees the version that an earlier one made',
    requires: multiStream,
    async run(f) {
      const stream = f.name('stream')
      await f.commit({
        append: [
          appending(stream, f.numbered(2), { expected: 'none' }),
          appending(stream, f.numbered(1), { expected: 2 }),
        ],
      })
      await f.conflict(
        {
          append: [
            appending(stream, f.numbered(1), { expected: 3 }),
            appending(stream, f.numbered(1), { expected: 3 }),
          ],
        },
        'stream-version',
      )
      assert.equal((await f.stream(stream)).length, 3)
    },
  },
  {
    name: 'append: one conflict refuses all streams of the commit',
    requires: multiStream,
    async run(f) {
      const [a, b, c] = [f.name('stream'), f.name('stream'), f.name('stream')]
      await f.append(b, 'A')
      await f.conflict(
        {
          append: [
            appending(a, f.numbered(1)),
            appending(b, f.numbered(1), { expected: 'none' }),
            appending(c, f.numbered(1)),
          ],
        },
        'stream-version',
      )
      assert.deepEqual([await typesOf(f, a), await typesOf(f, b), await typesOf(f, c)], [[], ['A'], []])
    },
  },
  {
    name: 'append: the same events again are recognised by their ids and not written twice',
    requires: idempotentById,
    async run(f) {
      const stream = f.name('stream')
      const messages = f.numbered(3)
      const first = await f.commit({ append: [appending(stream, messages, { expected: 'none' })] })
      await f.append(stream, 'Later')
      const again = await f.commit({ append: [appending(stream, messages, { expected: 'none' })] })
      assert.deepEqual(again.appended, [{ ...first.appended[0], duplicate: true }])
      assert.equal((await f.stream(stream)).length, 4)
    },
  },
  {
    name: 'append: the same events twice at once are written once',
    requires: idempotentById,
    async run(f) {
      const stream = f.name('stream')
      const messages = f.numbered(2)
      const outcomes = await Promise.all([1, 2, 3].map(() => f.commit({ append: [appending(stream, messages)] })))
      assert.deepEqual(
        outcomes.map(({ appended }) => appended[0]?.duplicate),
        [false, true, true],
      )
      assert.deepEqual(
        outcomes.map(({ appended }) => appended[0]?.lastVersion),
        [2, 2, 2],
      )
      assert.equal((await f.stream(stream)).length, 2)
    },
  },
  {
    name: 'append: a repetition is recognised after a restart',
    requires: all(idempotentById, survivesClose),
    async run(f) {
      const stream = f.name('stream')
      const messages = f.numbered(2)
      await f.commit({ append: [appending(stream, messages)] })
      await f.reopen()
      assert.equal((await f.commit({ append: [appending(stream, messages)] })).appended[0]?.duplicate, true)
      assert.equal((await f.stream(stream)).length, 2)
    },
  },
  {
    name: 'append: events that all stand there already are a conflict where that is wanted, and nothing else is written',
    requires: idempotentById,
    async run(f) {
      const [stream, namespace] = [f.name('stream'), f.name('namespace')]
      const messages = f.numbered(2)
      const refusing = appending(stream, messages, { repeated: 'refuse' })
      const state = [{ kind: 'set', namespace, key: 'k', value: 1 }] as const
      const isKept = f.engine.capabilities.atomic.some((parts) => parts.includes('events') && parts.includes('state'))
      assert.equal((await f.commit({ append: [refusing] })).appended[0]?.duplicate, false)
      for (const expected of ['any', 0, 2] as const) {
        const append = [{ ...refusing, expected }]
        const conflict = await f.conflict({ append, ...(isKept && { state }) }, 'event-id')
        assert.deepEqual([conflict.stream, conflict.id], [stream, messages[0]?.id])
      }
      assert.equal((await f.stream(stream)).length, 2)
      if (isKept) assert.equal(await f.engine.state.get(namespace, 'k'), undefined)
      await f.commit({ append: [appending(stream, f.numbered(1), { repeated: 'refuse', expected: 2 })] })
    },
  },
  {
    name: 'append: ids that stand there only in part, in another order or elsewhere are a conflict',
    requires: idempotentById,
    async run(f) {
      const [stream, other] = [f.name('stream'), f.name('stream')]
      const [a, b] = f.numbered(2) as [Message, Message]
      await f.commit({ append: [appending(stream, [a, b])] })
      const attempts: readonly AppendWrite[] = [
        appending(stream, [b, ...f.numbered(1)]),
        appending(stream, [...f.numbered(1), a]),
        appending(stream, [b, a]),
        appending(other, [a]),
        appending(other, [a, b]),
      ]
      for (const write of attempts) {
        const conflict = await f.conflict({ append: [write] }, 'event-id')
        assert.ok(write.events.some(({ message }) => message.id === conflict.id))
      }
      assert.deepEqual([(await f.stream(stream)).length, (await f.stream(other)).length], [2, 0])
    },
  },
  {
    name: 'append: one id twice in one commit is refused',
    requires: idempotentById,
    async run(f) {
      const stream = f.name('stream')
      const [message] = f.numbered(1) as [Message]
      const outcome = await f.engine
        .commit({ append: [appending(stream, [message, message])] })
        .catch((error: unknown) => refuses(() => Promise.reject(error)))
      assert.ok(outcome instanceof Error || !outcome.ok)
      assert.deepEqual(await f.stream(stream), [])
    },
  },
  {
    name: 'append: no events write nothing',
    async run(f) {
      const stream = f.name('stream')
      await f.engine
        .commit({ append: [{ stream, events: [] }] })
        .catch((error: unknown) => refuses(() => Promise.reject(error)))
      assert.deepEqual(await f.stream(stream), [])
      await f.commit({ append: [appending(stream, f.numbered(1), { expected: 'none' })] })
    },
  },
  {
    name: 'append: a conflict does not use versions up',
    async run(f) {
      const stream = f.name('stream')
      await f.append(stream, 'A')
      for (let turn = 0; turn < 5; turn++)
        await f.conflict({ append: [appending(stream, f.numbered(3), { expected: 9 })] }, 'stream-version')
      await f.append(stream, 'B')
      assert.deepEqual(
        (await f.stream(stream)).map(({ version }) => version),
        [1, 2],
      )
    },
  },
]
