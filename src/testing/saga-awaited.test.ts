/* oxlint-disable typescript/no-floating-promises -- what is not awaited is what is tested */
import { describe, expect, it } from 'vitest'
import { fixed } from '../runtime/index.ts'
import { saga } from '../saga/index.ts'
import { sagaTest } from './index.ts'
import { anything, world } from './saga.test-support.ts'

type Act = ReturnType<typeof world>['act']

/** A saga of steps `a`, `b` and `mail`, and what it did outside. */
function declared(
  body: (scope: Scope) => unknown,
  more: (act: Act) => Partial<Record<string, ReturnType<Act>>> = () => ({}),
) {
  const { log, act } = world()
  const steps = { a: act('a'), b: act('b'), mail: act('mail'), ...more(act) } as Record<
    'a' | 'b' | 'mail',
    ReturnType<Act>
  >
  return { log, one: saga('awaited', { start: anything, steps, signals: { go: anything } }, body) }
}

interface Scope {
  step(name: 'a' | 'b' | 'mail'): Promise<unknown>
  signal(name: 'go'): Promise<unknown>
  sleep(name: string, duration: '1h'): Promise<unknown>
}

describe('a step that its body does not await', () => {
  const parked = {
    status: 'parked',
    report: { reason: 'not-awaited', problem: 'The body has ended, but it has not awaited mail.', from: 'running' },
  }

  it('parks the instance, and is run when a better program awaits it', async () => {
    const bad = declared(async (scope) => {
      await scope.step('a')
      void scope.step('mail')
      return 7
    })
    const good = declared(async (scope) => {
      await scope.step('a')
      await scope.step('mail')
      return 7
    })
    const test = sagaTest(bad.one)
    await test.start('k', null)
    expect(test.outcome('k')).toMatchObject(parked)
    expect(bad.log).toEqual(['a'])
    test.deploy(good.one)
    await test.retry('k')
    expect(test.outcome('k')).toEqual({ status: 'completed', result: 7 })
    expect(good.log).toEqual(['mail'])
  })

  it('may be left out by a better program', async () => {
    const good = declared(async (scope) => {
      await scope.step('a')
      return 7
    })
    const bad = declared(async (scope) => {
      await scope.step('a')
      void scope.step('mail')
      return 7
    })
    const test = sagaTest(bad.one)
    await test.start('k', null)
    expect(test.instance('k')?.activities.map(({ id }) => id)).toEqual(['a'])
    test.deploy(good.one)
    await test.retry('k')
    expect(test.outcome('k')).toEqual({ status: 'completed', result: 7 })
  })

  it('parks it also when the step is the only one, or was done in time', async () => {
    for (const body of [
      (scope: Scope) => void scope.step('mail'),
      async (scope: Scope) => {
        void scope.step('mail')
        await scope.step('a')
        await scope.sleep('rest', '1h')
      },
    ]) {
      const test = sagaTest(declared(body).one)
      await test.start('k', null)
      await test.advance('1h')
      expect(test.outcome('k')).toMatchObject(parked)
    }
  })

  it('does not hold up what was thrown: all is undone', async () => {
    const { log, one } = declared(async (scope) => {
      await scope.step('a')
      void scope.step('mail')
      throw new RangeError('no')
    })
    const test = sagaTest(one)
    await test.start('k', null)
    expect(test.outcome('k')).toMatchObject({ status: 'compensated', failure: { message: 'no' } })
    expect(log).not.toContain('mail')
  })
})

describe('a step that is awaited in another way', () => {
  it.each<[string, (scope: Scope) => Promise<unknown>]>([
    ['returned', (scope) => scope.step('a')],
    ['handed to Promise.all', (scope) => Promise.all([scope.step('a'), scope.step('b')])],
    [
      'awaited later',
      async (scope) => {
        const mail = scope.step('mail')
        await scope.step('a')
        await mail
      },
    ],
    ['continued', (scope) => scope.step('a').then(() => scope.step('b'))],
    [
      'caught',
      async (scope) => {
        await scope.step('a')
        await scope.step('b').catch(() => undefined)
      },
    ],
  ])('is as good: %s', async (_name, body) => {
    const test = sagaTest(declared(body).one)
    await test.start('k', null)
    expect(test.outcome('k')?.status).toBe('completed')
  })

  it('is finished, if it lost a race and runs', async () => {
    const over = Promise.withResolvers<string>()
    const { one } = declared(
      (scope) => Promise.race([scope.step('a'), scope.step('b')]),
      (act) => ({ b: act('b', { run: () => over.promise }) }),
    )
    const test = sagaTest(one)
    await test.start('k', null)
    expect(test.outcome('k')).toBeUndefined()
    over.resolve('late')
    await test.idle()
    expect(test.outcome('k')).toEqual({ status: 'completed', result: 'a done' })
    expect(test.instance('k')?.activities).toMatchObject([
      { id: 'a', state: 'done' },
      { id: 'b', state: 'done', output: 'late' },
    ])
  })

  it('is not tried again, if it lost a race and fails; and not begun, if the race was over before', async () => {
    let attempts = 0
    const { one } = declared(
      (scope) => Promise.race([scope.step('a'), scope.step('b')]),
      (act) => ({
        b: act('b', {
          retry: fixed({ delay: '1h', max: 5 }),
          run: () => {
            attempts++
            throw new RangeError('no')
          },
        }),
      }),
    )
    const test = sagaTest(one)
    await test.start('k', null)
    await test.advance('5h')
    expect(test.outcome('k')?.status).toBe('completed')
    expect(attempts).toBe(1)

    const decided = declared((scope) => Promise.race([scope.signal('go'), scope.step('a')]))
    const second = sagaTest(decided.one)
    await second.signal('k', 'go', 1)
    await second.start('k', null)
    expect(second.outcome('k')).toEqual({ status: 'completed', result: 1 })
    expect(decided.log).toEqual([])
  })
})
