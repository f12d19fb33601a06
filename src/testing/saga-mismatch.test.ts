import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { command, event } from '../message/index.ts'
import { saga } from '../saga/index.ts'
import { sagaTest } from './index.ts'
import { anything, world } from './saga.test-support.ts'

const data = z.object({ id: z.string() })
const Told = event('MismatchTold', { data })
const Shown = event('MismatchShown', { data })
const Do = command('MismatchDo', { data })

const { log, act } = world()
const child = saga('child', { start: anything }, (saga) => saga.sleep('long', '1d'))
const twin = saga('twin', { start: anything }, (saga) => saga.sleep('long', '1d'))
const options = {
  start: anything,
  steps: { a: act('a') },
  signals: { go: z.number(), stop: z.number() },
  children: { child, twin },
  keep: '30d',
} as const

type Scope = Parameters<
  Parameters<
    typeof saga<
      typeof anything,
      unknown,
      typeof options.steps,
      { go: z.ZodNumber; stop: z.ZodNumber },
      { child: typeof child; twin: typeof twin }
    >
  >[2]
>[0]
type Body = (scope: Scope) => Promise<unknown>

/** What a body did before, and what the body of another program does in its place. */
const pairs: readonly (readonly [string, Body, Body, string])[] = [
  ['another child', (s) => s.child('child', 1), (s) => s.child('twin', 1), 'it asked for child:twin'],
  [
    'a child under another key',
    (s) => s.child('child', 1, { key: 'one' }),
    (s) => s.child('child', 1, { key: 'other' }),
    'The key of child:child was "one", now it is "other"',
  ],
  [
    'a child with another input',
    (s) => s.child('child', 1),
    (s) => s.child('child', 2),
    'The input of child:child was 1, now it is 2',
  ],
  ['a sleep for a child', (s) => s.child('child', 1), (s) => s.sleep('nap', '1h'), 'it asked for sleep:nap'],
  ['another signal', (s) => s.signal('go'), (s) => s.signal('stop'), 'it asked for signal:stop#1'],
  [
    'another message',
    async (s) => {
      s.publish(Told({ id: '1' }))
      await s.signal('go')
    },
    async (s) => {
      s.publish(Shown({ id: '1' }))
      await s.signal('go')
    },
    'The journal has publish:MismatchTold#1 next',
  ],
  [
    'a command for an event',
    async (s) => {
      s.publish(Told({ id: '1' }))
      await s.signal('go')
    },
    async (s) => {
      s.send(Do({ id: '1' }))
      await s.signal('go')
    },
    'The journal has publish:MismatchTold#1 next',
  ],
  [
    'fewer messages',
    async (s) => {
      s.publish(Told({ id: '1' }))
      s.publish(Told({ id: '2' }))
      await s.signal('go')
    },
    async (s) => {
      s.publish(Told({ id: '1' }))
      await s.signal('go')
    },
    'The journal has publish:MismatchTold#2 next',
  ],
]

describe('a program that asks for something else than the one before', () => {
  it.each(pairs)('(%s) parks the instance, does nothing outside, and gives way to the old one', async (...pair) => {
    const [, before, now, problem] = pair
    log.length = 0
    const first = saga('s', options, before)
    const trial = sagaTest(first, { others: [child, twin] })
    await trial.start('k', null)
    const published = trial.published.length
    const ids = trial.instance('k')?.activities.map(({ id }) => id)
    trial.deploy(
      saga('s', options, async (scope) => {
        await now(scope)
        await scope.step('a')
      }),
    )
    await trial.retry('k')
    expect(trial.outcome('k')).toMatchObject({
      status: 'parked',
      report: { reason: 'not-deterministic', problem: expect.stringContaining(problem) },
    })
    expect(trial.instance('k')?.activities.map(({ id }) => id)).toEqual(ids)
    expect([trial.published.length, trial.sent.length, log.length]).toEqual([published, 0, 0])
    trial.deploy(first)
    await trial.signal('k', 'go', 1)
    await trial.retry('k')
    await trial.advance('1d')
    expect(trial.outcome('k')?.status).toBe('completed')
    expect(trial.published).toHaveLength(published)
  })
})
