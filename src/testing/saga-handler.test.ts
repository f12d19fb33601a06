import { describe, expect, it } from 'vitest'
import { z } from 'zod'
import { VirtualClock } from '../kernel/index.ts'
import type { Effect } from '../runtime/index.ts'
import {
  inputMessage,
  type Journal,
  type SagaInput,
  StepRejectedError,
  saga,
  sagaHandler,
  step,
} from '../saga/index.ts'
import { handlerContext } from './handler-context.ts'

/** One key of a saga, whose process can die while its handler is at work. */
function oneKey(handler: ReturnType<typeof sagaHandler>) {
  let journal: Journal | null = null
  const apply = (effects: readonly Effect<unknown>[]): void => {
    for (const effect of effects)
      if (effect.kind === 'set') journal = JSON.parse(JSON.stringify(effect.value)) as Journal
  }
  return {
    journal: () => journal,
    /** Hands it a message; the process dies when `dies` aborts, and nothing more of it becomes real. */
    tell: async (message: ReturnType<typeof inputMessage>, dies = new AbortController()): Promise<void> => {
      const ctx = handlerContext({
        key: message.id,
        nowMs: () => 0,
        signal: dies.signal,
        checkpoint: async (effects) => apply(effects as readonly Effect<unknown>[]),
      })
      const effects = (await handler.handle(message, journal, ctx)) as readonly Effect<unknown>[]
      if (!dies.signal.aborted) apply(effects)
    },
  }
}

describe('the handler of a saga', () => {
  const ground = { app: 'app', clock: new VirtualClock() }
  const message = (input: SagaInput) => inputMessage('app', 'checkout', 'k', input)
  const start = message({ kind: 'start', input: null })

  /** A saga of one step, which hangs when it is run first. */
  function hanging(later: () => string) {
    const log: string[] = []
    const begun = Promise.withResolvers<void>()
    const charge = step({
      run: () => {
        log.push('charge')
        if (log.length > 1) return later()
        begun.resolve()
        return new Promise<string>(() => undefined)
      },
      undo: ({ outcome }) => void log.push(`refund ${outcome}`),
    })
    const checkout = saga('checkout', { start: z.null(), steps: { charge } }, (scope) => scope.step('charge'))
    const one = oneKey(sagaHandler(checkout, ground))
    return {
      one,
      log,
      /** The process dies while the step runs. */
      die: async (): Promise<void> => {
        const dies = new AbortController()
        const working = one.tell(start, dies)
        await begun.promise
        dies.abort()
        await expect(working).rejects.toThrow('aborted')
        expect(one.journal()).toMatchObject({ status: 'running', entries: [{ id: 'charge', state: 'begun' }] })
      },
    }
  }

  it('undoes a step of a process that died while it ran, even if the cancellation comes first', async () => {
    const { one, log, die } = hanging(() => 'charged')
    await die()
    // Another topic, another partition: it may well come before the start that was not finished.
    await one.tell(message({ kind: 'cancel', reason: 'too slow' }))
    expect(one.journal()?.status).toBe('compensated')
    // The start comes again, and changes nothing.
    await one.tell(start)
    expect(one.journal()).toMatchObject({ status: 'compensated', failure: { message: 'too slow' } })
    expect(one.journal()?.taken).toBeUndefined()
    expect(log).toEqual(['charge', 'refund unknown'])
  })

  it('undoes a step that is refused when the process that began it died', async () => {
    const { one, log, die } = hanging(() => {
      throw new StepRejectedError('declined')
    })
    await die()
    await one.tell(start)
    expect(one.journal()).toMatchObject({ status: 'compensated', failure: { code: 'SAGA_STEP_REJECTED' } })
    expect(log).toEqual(['charge', 'charge', 'refund unknown'])
  })
})
