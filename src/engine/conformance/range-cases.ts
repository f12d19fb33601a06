import assert from 'node:assert/strict'
import type { StateRange } from '../state.ts'
import { type Choices, choosing } from './choices.ts'
import { type ConformanceCase, keeps } from './conformance-case.ts'
import type { Fixture } from './fixture.ts'

const inBytes = (a: string, b: string): number => Buffer.compare(Buffer.from(a), Buffer.from(b))

/** What a range means, said as plainly as can be: this is what the engine is held against. */
function meant(keys: readonly string[], range: StateRange): string[] {
  const { prefix = '', from, to, after, reverse = false, limit = 100 } = range
  const inside = keys.filter((key) => {
    if (!key.startsWith(prefix)) return false
    if (from !== undefined && inBytes(key, from) < 0) return false
    if (to !== undefined && inBytes(key, to) >= 0) return false
    if (after === undefined) return true
    return reverse ? inBytes(key, after) < 0 : inBytes(key, after) > 0
  })
  inside.sort(inBytes)
  return (reverse ? inside.reverse() : inside).slice(0, limit)
}

async function filled(f: Fixture, keys: readonly string[]): Promise<string> {
  const namespace = f.name('state')
  await f.commit({ state: keys.map((key, value) => ({ kind: 'set', namespace, key, value })) })
  return namespace
}

async function keysOf(f: Fixture, namespace: string, range: StateRange): Promise<string[]> {
  return (await f.engine.state.range(namespace, range)).map(({ key }) => key)
}

/** `00` to `99`. */
const hundred = Array.from({ length: 100 }, (_, n) => String(n).padStart(2, '0'))

/** Bounds on keys, between keys, before the first and behind the last. */
const bounds = [
  '0',
  '00',
  '1',
  '20',
  '29',
  '49.5',
  '49999',
  '50',
  '50.5',
  '70',
  '98',
  '99',
  '9a',
  '9b',
  'a',
  '\u{10ffff}',
]

/** Keys that begin alike and differ in one character of one to four bytes. */
const awkward = [
  'a',
  'a ',
  'a0',
  'aa',
  'a~',
  'a\u007f',
  'aé',
  'aß',
  'a\uffff',
  'a\u{1f600}',
  'a\u{1f600}b',
  'b',
  'é',
  'éa',
]

function anyRange(choices: Choices, places: readonly string[], prefixes: readonly string[]): StateRange {
  const range: { -readonly [Key in keyof StateRange]: StateRange[Key] } = {}
  if (choices.chance(0.4)) range.from = choices.either(places)
  if (choices.chance(0.4)) range.to = choices.either(places)
  if (choices.chance(0.3)) range.after = choices.either(places)
  if (choices.chance(0.3)) range.prefix = choices.either(prefixes)
  if (choices.chance(0.5)) range.reverse = choices.chance(0.8)
  if (choices.chance(0.4)) range.limit = choices.either([0, 1, 2, 20, 50, 1000])
  return range
}

/** Ranges of keyed state, against what they mean. */
export const rangeCases: readonly ConformanceCase[] = [
  {
    name: 'ranges: from, to, and both, on keys, between them and outside',
    async run(f) {
      const namespace = await filled(f, hundred)
      for (const one of bounds) {
        for (const range of [{ from: one }, { to: one }, { from: one, to: '70' }, { from: '30', to: one }]) {
          const expected = meant(hundred, range)
          assert.deepEqual(await keysOf(f, namespace, range), expected, JSON.stringify(range))
          const reversed = await keysOf(f, namespace, { ...range, reverse: true })
          assert.deepEqual(reversed, expected.toReversed(), JSON.stringify(range))
        }
      }
    },
  },
  choosing({
    name: 'ranges: any bounds together mean what each of them says',
    async run(f, choices) {
      for (const [keys, places, prefixes] of [
        [hundred, bounds, ['', '0', '1', '5', '50', '500', 'x']],
        [awkward, [...awkward, 'a\u0001', 'a\ud7ff', '\u{10ffff}'], ['', 'a', 'a\u{1f600}', 'é', 'aé', 'A']],
      ] as const) {
        const namespace = await filled(f, keys)
        for (let turn = 0; turn < 200; turn++) {
          const range = anyRange(choices, places, prefixes)
          assert.deepEqual(await keysOf(f, namespace, range), meant(keys, range), JSON.stringify(range))
        }
      }
    },
  }),
  {
    name: 'ranges: a limit of 0 is nothing, wherever there are limits',
    requires: keeps('state', 'events', 'timers'),
    async run(f) {
      const namespace = await filled(f, ['a', 'b'])
      const [stream, owner] = [f.name('stream'), f.name('owner')]
      await f.append(stream, 'A', 'B')
      await f.commit({ timers: [{ kind: 'schedule', owner, id: 't', dueMs: 0, payload: null }] })
      const { events, state, timers } = f.engine
      assert.deepEqual(await state.range(namespace, { limit: 0 }), [])
      assert.deepEqual(await Array.fromAsync(events.readStream(stream, { limit: 0 })), [])
      assert.deepEqual(await Array.fromAsync(events.readStream(stream, { limit: 0, direction: 'backward' })), [])
      assert.deepEqual(await Array.fromAsync(events.readAll({ limit: 0 })), [])
      assert.deepEqual(await events.listStreams({ prefix: stream, limit: 0 }), [])
      assert.deepEqual([await timers.due(owner, 1, 0), await timers.list({ owner, limit: 0 })], [[], []])
    },
  },
  {
    name: 'ranges: what is removed and set again stands in its place',
    async run(f) {
      const namespace = await filled(f, hundred)
      const odd = hundred.filter((_, n) => n % 2 === 1)
      await f.commit({ state: odd.map((key) => ({ kind: 'delete', namespace, key })) })
      const even = hundred.filter((_, n) => n % 2 === 0)
      assert.deepEqual(await keysOf(f, namespace, {}), even)
      assert.deepEqual(await keysOf(f, namespace, { from: '51', to: '57', reverse: true }), ['56', '54', '52'])
      await f.commit({ state: [{ kind: 'set', namespace, key: '51', value: 'again' }] })
      assert.deepEqual(await keysOf(f, namespace, { from: '51', limit: 2 }), ['51', '52'])
      assert.equal(await f.engine.state.count(namespace), 51)
    },
  },
  {
    name: 'ranges: many who read at the same time all get the same',
    async run(f) {
      const namespace = await filled(f, ['a', 'b', 'c'])
      const { state } = f.engine
      const reads = Array.from({ length: 30 }, () =>
        Promise.all([state.get(namespace, 'a'), state.get(namespace, 'none'), state.getMany(namespace, ['c', 'b'])]),
      )
      for (const [a, none, [c, b]] of await Promise.all(reads)) {
        assert.deepEqual([a?.value, none, c?.value, b?.value], [0, undefined, 2, 1])
      }
    },
  },
]
