import type { Engine } from '../src/engine/index.ts'
import { isThenable } from '../src/kernel/index.ts'
import type { Life } from './life.ts'

/** Of what is looked up, each answer may be old by the time it arrives, as those of a server are. */
const parts = ['topics', 'groups', 'events', 'state', 'timers'] as const
/** Reading a log ahead of the disk is for those in the process of the engine: its answers take no time. */
const atOnce: ReadonlySet<string | symbol> = new Set(['read'])

/**
 * The engine as it is from afar: what it is asked is answered up to so many milliseconds later, and of two commits, which it makes in
 * the order of the calls, the answer to the second may arrive first.
 */
export function withSlowAnswers(engine: Engine, life: Life, answerMsMax: number): Engine {
  const slow = new Map<string | symbol, object>(parts.map((name) => [name, slowPart(engine[name], life, answerMsMax)]))
  const commit: Engine['commit'] = (batch, options) => arriving(engine.commit(batch, options), life, answerMsMax)
  return new Proxy(engine, {
    get: (target, name) => slow.get(name) ?? (name === 'commit' ? commit : bound(target, name)),
  })
}

function slowPart<Part extends object>(part: Part, life: Life, answerMsMax: number): Part {
  return new Proxy(part, {
    get: (target, name) => {
      const value = bound(target, name)
      if (typeof value !== 'function' || atOnce.has(name)) return value
      return (...given: unknown[]): unknown => {
        const answer: unknown = Reflect.apply(value, target, given)
        if (!isThenable(answer)) return answer
        return arriving(Promise.resolve(answer), life, answerMsMax)
      }
    },
  })
}

async function arriving<Answer>(answer: Promise<Answer>, life: Life, answerMsMax: number): Promise<Answer> {
  const settled = await answer
  await life.pause(answerMsMax)
  return settled
}

function bound(target: object, name: string | symbol): unknown {
  const value: unknown = Reflect.get(target, name, target)
  return typeof value === 'function' ? (value.bind(target) as unknown) : value
}
