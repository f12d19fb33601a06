import { describe, expect, it } from 'vitest'
import { none } from '../runtime/index.ts'
import { StepTimeoutError, saga } from '../saga/index.ts'
import { sagaTest } from './index.ts'
import { anything, failing, world } from './saga.test-support.ts'

const { act } = world()

describe('what is kept of a failure', () => {
  it('says what went wrong, and apart from that what to do', async () => {
    const charge = act('charge', {
      retry: none,
      run: () => {
        throw new StepTimeoutError('charge', 5)
      },
    })
    const child = saga('child', { start: anything, steps: { charge } }, (scope) => scope.step('charge'))
    const parent = saga('parent', { start: anything, children: { child } }, (scope) => scope.child('child', null))
    const test = sagaTest(parent, { others: [child] })
    await test.start('k', null)
    await test.idle()
    const { failure } = test.instance('k') ?? {}
    expect(failure?.message).toBe(
      'Child saga child:child did not complete: Step charge failed for good after 1 attempt: Step charge did not finish within 5 ms.',
    )
    expect(failure?.remedy).toMatch(/^Let the error through and the parent is compensated too/)
  })

  it('of a step that was refused is the reason alone', async () => {
    const one = saga('one', { start: anything, steps: { a: act('a', { run: failing }) } }, (scope) => scope.step('a'))
    const test = sagaTest(one)
    await test.start('k', null)
    expect(test.instance('k')?.failure).toEqual({
      name: 'StepRejectedError',
      code: 'SAGA_STEP_REJECTED',
      message: 'refused',
    })
  })
})

describe('a patched() that was taken away too early', () => {
  it('is told, with when it may go', async () => {
    const body = (isPatched: boolean) =>
      saga('patching', { start: anything, steps: { a: act('a') } }, async (scope) => {
        if (isPatched) scope.patched('fraud-check')
        await scope.sleep('long', '1h')
      })
    const test = sagaTest(body(true))
    await test.start('k', null)
    test.deploy(body(false))
    await test.advance('1h')
    expect(test.instance('k')?.parked).toMatchObject({
      reason: 'not-deterministic',
      problem: expect.stringContaining('patch:fraud-check'),
      remedy: expect.stringContaining('may go when no instance has patch:fraud-check in its journal'),
    })
  })
})
