import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { command, event } from '../message/index.ts'
import { saga } from '../saga/index.ts'
import { sagaTest } from './index.ts'
import { anything, world } from './saga.test-support.ts'

const data = z.object({ n: z.number() })
const Said = event('WitnessSaid', { data })
const Do = command('WitnessDo', { data })
const { act } = world()
const options = { start: anything, steps: { a: act('a') }, signals: { go: anything } } as const

type Scope = Parameters<
  Parameters<typeof saga<typeof anything, unknown, typeof options.steps, typeof options.signals>>[2]
>[0]

/** Something else each time. */
function counter(): () => number {
  let n = 0
  return () => ++n
}

describe('a body that asks for the same things, but says others', () => {
  it.each<[string, (scope: Scope, n: () => number) => unknown, RegExp]>([
    ['publishes', (scope, n) => scope.publish(Said({ n: n() })), /"n":1.* as publish:WitnessSaid#1, now .*"n":2/],
    ['publishes to', (scope, n) => scope.publish(Said({ n: 1 }), { topic: `t${n()}` }), /"t1".*"t2"/],
    ['sends', (scope, n) => scope.send(Do({ n: n() })), /"n":1.* as send:WitnessDo#1, now .*"n":2/],
    ['sends after', (scope, n) => scope.send(Do({ n: 1 }), { after: n() }), /"after":1.*"after":2/],
    ['shows', (scope, n) => scope.show({ n: n() }), /It said \{"n":1\} as show#1, now it says \{"n":2\}\./],
    ['sleeps', (scope, n) => scope.sleep('nap', n()), /"ms":1.* as sleep:nap, now .*"ms":2/],
    ['waits', (scope, n) => scope.signal('go', { timeout: n() }), /"timeoutMs":1.*"timeoutMs":2/],
  ])('fails the test: %s', async (_name, says, problem) => {
    const n = counter()
    const one = saga('witness', options, async (scope) => {
      await scope.step('a')
      await says(scope, n)
      await scope.sleep('long', '1h')
    })
    await expect(sagaTest(one).start('k', null)).rejects.toMatchObject({
      code: 'SAGA_NOT_DETERMINISTIC',
      message: expect.stringMatching(problem),
    })
    await sagaTest(one, { replay: false }).start('k', null)
  })

  it('does not fail it, when another program says them, or times differ after a crash', async () => {
    const says = (n: number) =>
      saga('witness', options, async (scope) => {
        scope.publish(Said({ n }))
        await scope.step('a')
        scope.publish(Said({ n: scope.nowMs() }))
        await scope.sleep('long', '1h')
      })
    const test = sagaTest(says(1), { interrupt: (commit) => (commit === 1 ? 'before' : undefined) })
    await test.start('k', null)
    test.deploy(says(2))
    await test.advance('1h')
    expect(test.outcome('k')?.status).toBe('completed')
    expect(test.published.map(({ type }) => type)).toEqual(['WitnessSaid', 'WitnessSaid'])
  })
})
