import assert from 'node:assert/strict'
import type { StateRange } from '../state.ts'
import type { StateWrite } from '../write-batch.ts'
import { type ConformanceCase, survivesClose } from './conformance-case.ts'
import { type Fixture, refuses } from './fixture.ts'

const set = (namespace: string, key: string, value: unknown, expectedRevision?: number): StateWrite => ({
  kind: 'set',
  namespace,
  key,
  value: value as never,
  ...(expectedRevision === undefined ? {} : { expectedRevision }),
})

const remove = (namespace: string, key: string, expectedRevision?: number): StateWrite => ({
  kind: 'delete',
  namespace,
  key,
  ...(expectedRevision === undefined ? {} : { expectedRevision }),
})

async function filled(f: Fixture, keys: readonly string[]): Promise<string> {
  const namespace = f.name('state')
  await f.commit({ state: keys.map((key, index) => set(namespace, key, index)) })
  return namespace
}

const byBytes = (keys: readonly string[]): string[] =>
  keys.toSorted((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)))

/** Keyed state: revisions, expectations, ranges. */
export const stateCases: readonly ConformanceCase[] = [
  {
    name: 'state: what was set is read, with a revision that counts the sets',
    async run(f) {
      const namespace = f.name('state')
      assert.equal(await f.engine.state.get(namespace, 'k'), undefined)
      for (const revision of [1, 2, 3]) {
        await f.commit({ state: [set(namespace, 'k', { revision })] })
        assert.deepEqual(await f.engine.state.get(namespace, 'k'), { key: 'k', value: { revision }, revision })
      }
    },
  },
  {
    name: 'state: a deleted key is gone and starts again at 1; deleting nothing is fine',
    async run(f) {
      const namespace = f.name('state')
      await f.commit({ state: [remove(namespace, 'k')] })
      await f.commit({ state: [set(namespace, 'k', 1), set(namespace, 'k', 2)] })
      await f.commit({ state: [remove(namespace, 'k')] })
      assert.equal(await f.engine.state.get(namespace, 'k'), undefined)
      assert.equal(await f.engine.state.count(namespace), 0)
      await f.commit({ state: [set(namespace, 'k', 3)] })
      assert.equal((await f.engine.state.get(namespace, 'k'))?.revision, 1)
    },
  },
  {
    name: 'state: any JSON value comes back unchanged',
    async run(f) {
      const namespace = f.name('state')
      const values = [
        null,
        true,
        false,
        0,
        -1.5,
        '',
        'ä😀\u0000',
        [],
        {},
        [[null]],
        { a: { b: [1, 'c'] }, '': 0 },
        'x'.repeat(200_000),
      ]
      await f.commit({ state: values.map((value, index) => set(namespace, `k${index}`, value)) })
      for (const [index, value] of values.entries()) assert.deepEqual(await f.value(namespace, `k${index}`), value)
    },
  },
  {
    name: 'state: an expected revision takes exactly that revision',
    async run(f) {
      const namespace = f.name('state')
      await f.commit({ state: [set(namespace, 'k', 'first', 0)] })
      for (const expected of [0, 2, 99]) {
        const conflict = await f.conflict({ state: [set(namespace, 'k', 'no', expected)] }, 'revision')
        assert.deepEqual(conflict, { kind: 'revision', namespace, key: 'k', expected, actual: 1 })
      }
      await f.commit({ state: [set(namespace, 'k', 'second', 1)] })
      assert.deepEqual(await f.engine.state.get(namespace, 'k'), { key: 'k', value: 'second', revision: 2 })
      assert.equal((await f.conflict({ state: [set(namespace, 'new', 'no', 1)] }, 'revision')).actual, 0)
    },
  },
  {
    name: 'state: a deletion may expect a revision too',
    async run(f) {
      const namespace = f.name('state')
      await f.commit({ state: [set(namespace, 'k', 1)] })
      assert.equal((await f.conflict({ state: [remove(namespace, 'k', 2)] }, 'revision')).actual, 1)
      assert.equal((await f.conflict({ state: [remove(namespace, 'other', 1)] }, 'revision')).actual, 0)
      await f.commit({ state: [remove(namespace, 'other', 0)] })
      await f.commit({ state: [remove(namespace, 'k', 1)] })
      assert.equal(await f.engine.state.get(namespace, 'k'), undefined)
    },
  },
  {
    name: 'state: one refused expectation refuses all writes beside it',
    async run(f) {
      const namespace = f.name('state')
      await f.commit({ state: [set(namespace, 'b', 1)] })
      await f.conflict(
        { state: [set(namespace, 'a', 1), set(namespace, 'b', 2, 0), set(namespace, 'c', 1)] },
        'revision',
      )
      assert.deepEqual(
        (await f.engine.state.range(namespace)).map(({ key, value }) => [key, value]),
        [['b', 1]],
      )
    },
  },
  {
    name: 'state: writes of one batch are applied in their order',
    async run(f) {
      const namespace = f.name('state')
      await f.commit({ state: [set(namespace, 'old', 0)] })
      await f.commit({
        state: [
          set(namespace, 'a', 1),
          set(namespace, 'a', 2, 1),
          { kind: 'clear', namespace },
          set(namespace, 'b', 1, 0),
          remove(namespace, 'b', 1),
          set(namespace, 'b', 2, 0),
          set(namespace, 'b', 3),
        ],
      })
      assert.deepEqual(await f.engine.state.range(namespace), [{ key: 'b', value: 3, revision: 2 }])
    },
  },
  {
    name: 'state: clear empties one namespace and no other',
    async run(f) {
      const [one, other] = [await filled(f, ['a', 'b']), await filled(f, ['a'])]
      await f.commit({ state: [{ kind: 'clear', namespace: one }] })
      assert.deepEqual([await f.engine.state.count(one), await f.engine.state.count(other)], [0, 1])
      await f.commit({ state: [{ kind: 'clear', namespace: f.name('state') }] })
      await f.commit({ state: [set(one, 'a', 1, 0)] })
    },
  },
  {
    name: 'state: of many that expect the same revision exactly one wins',
    async run(f) {
      const namespace = f.name('state')
      for (const expected of [0, 1, 2]) {
        const outcomes = await Promise.all(
          Array.from({ length: 20 }, (_, n) => f.engine.commit({ state: [set(namespace, 'k', n, expected)] })),
        )
        assert.equal(outcomes.filter(({ ok }) => ok).length, 1)
      }
      assert.equal((await f.engine.state.get(namespace, 'k'))?.revision, 3)
    },
  },
  {
    name: 'state: commits that build on each other need not wait for each other',
    async run(f) {
      const namespace = f.name('state')
      await Promise.all(Array.from({ length: 100 }, (_, n) => f.commit({ state: [set(namespace, 'k', n, n)] })))
      assert.deepEqual(await f.engine.state.get(namespace, 'k'), { key: 'k', value: 99, revision: 100 })
    },
  },
  {
    name: 'state: getMany answers in the order of the question',
    async run(f) {
      const namespace = await filled(f, ['a', 'b', 'c'])
      const entries = await f.engine.state.getMany(namespace, ['c', 'none', 'a', 'c'])
      assert.deepEqual(
        entries.map((entry) => entry?.value),
        [2, undefined, 0, 2],
      )
      assert.deepEqual(await f.engine.state.getMany(namespace, []), [])
      assert.deepEqual(await f.engine.state.getMany(f.name('state'), ['a']), [undefined])
    },
  },
  {
    name: 'state: getMany takes thousands of keys',
    async run(f) {
      const keys = Array.from({ length: 3000 }, (_, n) => `k${n}`)
      const namespace = await filled(f, keys)
      assert.deepEqual(
        (await f.engine.state.getMany(namespace, keys)).map((entry) => entry?.value),
        keys.map((_, n) => n),
      )
    },
  },
  {
    name: 'state: keys are ordered by their UTF-8 bytes',
    async run(f) {
      const keys = ['b', 'a', 'B', 'aa', 'é', 'z', '\u{1F600}', '\uff5e', '\ufffd', '~', ' ', '0', '10', '9', 'a\u0001']
      const namespace = await filled(f, keys)
      const expected = byBytes(keys)
      assert.deepEqual(
        (await f.engine.state.range(namespace)).map(({ key }) => key),
        expected,
      )
      assert.deepEqual(
        (await f.engine.state.range(namespace, { reverse: true })).map(({ key }) => key),
        expected.toReversed(),
      )
      const middle = { from: 'b', to: '\u{1F600}' }
      const inside = expected.slice(expected.indexOf('b'), expected.indexOf('\u{1F600}'))
      assert.deepEqual(
        (await f.engine.state.range(namespace, middle)).map(({ key }) => key),
        inside,
      )
    },
  },
  {
    name: 'state: bounds, prefixes, places to go on from and limits, together',
    async run(f) {
      const namespace = await filled(f, ['a', 'b1', 'b2', 'b3', 'c', 'd'])
      const keys = async (range: StateRange) => (await f.engine.state.range(namespace, range)).map(({ key }) => key)
      assert.deepEqual(await keys({ from: 'b1', to: 'c' }), ['b1', 'b2', 'b3'])
      assert.deepEqual(await keys({ prefix: 'b' }), ['b1', 'b2', 'b3'])
      assert.deepEqual(await keys({ prefix: 'b', reverse: true, limit: 2 }), ['b3', 'b2'])
      assert.deepEqual(await keys({ prefix: 'b', after: 'b1' }), ['b2', 'b3'])
      assert.deepEqual(await keys({ prefix: 'b', after: 'b3', reverse: true }), ['b2', 'b1'])
      assert.deepEqual(await keys({ prefix: 'b', from: 'b2', to: 'z' }), ['b2', 'b3'])
      assert.deepEqual(await keys({ prefix: '' }), ['a', 'b1', 'b2', 'b3', 'c', 'd'])
      assert.deepEqual(await keys({ prefix: 'x' }), [])
      assert.deepEqual(await keys({ from: 'd', to: 'a' }), [])
      assert.deepEqual(await keys({ after: 'b', limit: 1 }), ['b1'])
      assert.deepEqual(await keys({ from: 'a', after: 'c' }), ['d'])
      assert.deepEqual(await keys({ to: 'c', after: 'c', reverse: true }), ['b3', 'b2', 'b1', 'a'])
    },
  },
  {
    name: 'state: a prefix is taken literally, up to the last character there is',
    async run(f) {
      const keys = ['a%b', 'a_b', 'aXb', 'a\u{10ffff}', 'a\u{10ffff}z', 'a\uffff', 'b', '%', '_', '*', '[a]', 'A']
      const namespace = await filled(f, keys)
      for (const prefix of ['a%', 'a_', 'a', 'a\u{10ffff}', '\u{10ffff}', 'a\uffff', '%', '_', '*', '[a]', '\\']) {
        const found = (await f.engine.state.range(namespace, { prefix })).map(({ key }) => key)
        assert.deepEqual(found, byBytes(keys.filter((key) => key.startsWith(prefix))), JSON.stringify(prefix))
      }
    },
  },
  {
    name: 'state: a range has 100 entries unless told otherwise; paging reaches all, both ways',
    async run(f) {
      const keys = Array.from({ length: 250 }, (_, n) => `k${String(n).padStart(3, '0')}`)
      const namespace = await filled(f, keys)
      assert.equal((await f.engine.state.range(namespace)).length, 100)
      assert.equal((await f.engine.state.range(namespace, { limit: 10_000 })).length, 250)
      for (const reverse of [false, true]) {
        const paged: string[] = []
        for (;;) {
          const page = await f.engine.state.range(namespace, {
            reverse,
            limit: 60,
            ...(paged.length > 0 ? { after: paged.at(-1) as string } : {}),
          })
          if (page.length === 0) break
          paged.push(...page.map(({ key }) => key))
        }
        assert.deepEqual(paged, reverse ? keys.toReversed() : keys)
      }
    },
  },
  {
    name: 'state: limits that are none are errors',
    async run(f) {
      const namespace = await filled(f, ['a'])
      for (const limit of [Number.NaN, -1, 0.5, '5' as unknown as number]) {
        await refuses(() => f.engine.state.range(namespace, { limit }))
      }
      await f.engine.state
        .range(namespace, { limit: 10_001 })
        .catch((error: unknown) => refuses(() => Promise.reject(error)))
    },
  },
  {
    name: 'state: namespaces are listed while they hold something, and counted',
    async run(f) {
      const base = f.name('state')
      const names = ['b', 'a', 'a%', 'c'].map((end) => `${base}/${end}`)
      await f.commit({ state: [...names.map((namespace) => set(namespace, 'k', 1)), set(names[0] as string, 'l', 1)] })
      assert.deepEqual(await f.engine.state.namespaces(`${base}/`), byBytes(names))
      assert.deepEqual(await f.engine.state.namespaces(`${base}/a%`), [`${base}/a%`])
      assert.ok((await f.engine.state.namespaces()).includes(names[3] as string))
      assert.equal(await f.engine.state.count(names[0] as string), 2)
      await f.commit({ state: [{ kind: 'clear', namespace: names[0] as string }, remove(names[1] as string, 'k')] })
      assert.deepEqual(await f.engine.state.namespaces(`${base}/`), [`${base}/a%`, `${base}/c`])
      assert.equal(await f.engine.state.count(f.name('state')), 0)
    },
  },
  {
    name: 'state: names of prototype members are keys and namespaces like any other',
    async run(f) {
      const own = f.name('state')
      for (const name of ['__proto__', 'constructor', 'toString']) {
        assert.equal(await f.engine.state.get(own, name), undefined)
        await f.commit({ state: [{ kind: 'clear', namespace: name }, set(own, name, { a: 1 }), set(name, 'k', 2)] })
        assert.deepEqual(await f.engine.state.get(own, name), { key: name, value: { a: 1 }, revision: 1 })
        assert.deepEqual((await f.engine.state.getMany(own, [name]))[0]?.value, { a: 1 })
        assert.equal(await f.value(name, 'k'), 2)
      }
      assert.equal(await f.engine.state.count(own), 3)
      assert.equal(({} as { a?: unknown }).a, undefined)
    },
  },
  {
    name: 'state: values that JSON cannot carry are refused, and nothing is written',
    async run(f) {
      const namespace = f.name('state')
      const cyclic: unknown[] = []
      cyclic.push(cyclic)
      for (const value of [
        undefined,
        Number.NaN,
        Number.POSITIVE_INFINITY,
        10n,
        new Date(0),
        () => 1,
        Symbol('s'),
        new Map(),
        cyclic,
        { a: { b: Number.NaN } },
        [undefined],
      ]) {
        await refuses(() => f.engine.commit({ state: [set(namespace, 'a', 1), set(namespace, 'b', value)] }))
      }
      await f.engine
        .commit({ state: [set(namespace, 'p', JSON.parse('{"__proto__":{"polluted":1}}'))] })
        .catch(() => undefined)
      assert.equal(((await f.value(namespace, 'p')) as { polluted?: unknown } | undefined)?.polluted, undefined)
      assert.equal(await f.value(namespace, 'a'), undefined)
    },
  },
  {
    name: 'state: neither the writer nor a reader can change what is kept by changing its object',
    async run(f) {
      const namespace = f.name('state')
      const value = { list: [1] }
      const pending = f.commit({ state: [set(namespace, 'k', value)] })
      value.list.push(2)
      await pending
      const spoil = (read: unknown): void => {
        try {
          ;(read as { list: number[] }).list.push(3)
        } catch (error) {
          assert.ok(error instanceof TypeError)
        }
      }
      spoil(await f.value(namespace, 'k'))
      spoil((await f.engine.state.range(namespace))[0]?.value)
      assert.deepEqual(await f.value(namespace, 'k'), { list: [1] })
    },
  },
  {
    name: 'state: everything is there after a restart, with its revisions',
    requires: survivesClose,
    async run(f) {
      const namespace = await filled(f, ['a', 'b', 'é'])
      await f.commit({ state: [set(namespace, 'a', 'again'), remove(namespace, 'b')] })
      const before = await f.engine.state.range(namespace)
      await f.reopen()
      assert.deepEqual(await f.engine.state.range(namespace), before)
      await f.conflict({ state: [set(namespace, 'a', 1, 1)] }, 'revision')
      await f.commit({ state: [set(namespace, 'a', 1, 2), set(namespace, 'b', 1, 0)] })
    },
  },
]
