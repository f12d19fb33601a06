import { nameProblems, type OptionProblem, OptionsInvalidError, optionMs } from '../kernel/index.ts'
import type {
  CarriedBy,
  ChildSet,
  GivenTo,
  Saga,
  SagaDefinition,
  SagaOptions,
  SagaScope,
  SagaStart,
  SignalSet,
  Step,
  StepOptions,
  StepSet,
} from './definition.ts'
import { isEvent } from './kept-data.ts'

const stepOptions: ReadonlySet<string> = new Set(['run', 'undo', 'retry', 'undoRetry', 'timeout'])

/**
 * Declares a step of a saga: how it is done, and how it is undone.
 *
 * @throws OptionsInvalidError `OPTIONS_INVALID`
 *
 * @example
 * ```ts
 * const charge = step({
 *   run: (order: { orderId: string; total: string }, ctx) => gateway.charge(order, { idempotencyKey: ctx.key, signal: ctx.signal }),
 *   undo: ({ output }, ctx) => gateway.refund(ctx.runKey, output),
 *   timeout: '10s',
 * })
 * ```
 */
export function step<Input, Output>(options: StepOptions<Input, Output>): Step<Input, Output> {
  const problems: OptionProblem[] = []
  const given: Partial<StepOptions<Input, Output>> = options ?? {}
  for (const option of Object.keys(given)) {
    if (!stepOptions.has(option)) problems.push({ option, problem: 'is no option of step()' })
  }
  if (typeof given.run !== 'function') problems.push({ option: 'run', problem: 'is not a function' })
  if (given.undo !== undefined && typeof given.undo !== 'function') {
    problems.push({ option: 'undo', problem: 'is not a function' })
  }
  for (const option of ['retry', 'undoRetry'] as const) {
    if (given[option] !== undefined && typeof given[option]?.delayMs !== 'function') {
      problems.push({ option, problem: 'is no retry policy, such as fixed() or exponential() make' })
    }
  }
  if (given.timeout !== undefined) optionMs('timeout', given.timeout, 1, problems)
  if (problems.length > 0) throw new OptionsInvalidError('a step', problems)
  return Object.freeze({ ...options, stepKind: 'step' as const })
}

/**
 * Declares a saga: work in several steps that ends with all of them done or all of them undone, whatever crashes.
 *
 * The body is ordinary asynchronous code. What its steps, sleeps, signals and children answered is kept in a journal; after
 * a crash, or whenever it waited, the body runs again from the beginning and gets the same answers, without anything being
 * done twice. When it throws, what was done is undone in reverse order.
 *
 * @param name Letters, digits, `_` and `-`; stable over deployments.
 * @throws OptionsInvalidError `OPTIONS_INVALID`, naming all options that are wrong.
 *
 * @example
 * ```ts
 * const checkout = saga('checkout', { start: OrderPlaced, steps: { reserve, charge } }, async (saga, order) => {
 *   await saga.step('reserve', order.lines)
 *   const receipt = await saga.step('charge', { orderId: order.orderId, total: order.total })
 *   saga.publish(OrderConfirmed({ orderId: order.orderId, receipt: receipt.id }))
 * })
 * ```
 */
export function saga<
  const Start extends SagaStart,
  Result,
  Steps extends StepSet = Record<never, never>,
  Signals extends SignalSet = Record<never, never>,
  Children extends ChildSet = Record<never, never>,
>(
  name: string,
  options: SagaOptions<Start, Steps, Signals, Children>,
  body: (saga: SagaScope<Steps, Signals, Children>, input: CarriedBy<Start>) => Promise<Result> | Result,
): Saga<CarriedBy<Start>, Result, Signals, GivenTo<Start>> {
  const problems: OptionProblem[] = []
  const given = (options ?? {}) as Partial<SagaOptions<SagaStart, StepSet, SignalSet, ChildSet>>
  checkNames(name, given, problems)
  const version = given.version ?? 1
  if (!Number.isSafeInteger(version) || version < 1) {
    problems.push({ option: 'version', problem: `is ${version}, not a whole number from 1` })
  }
  const concurrency = given.concurrency ?? 1000
  if (!Number.isSafeInteger(concurrency) || concurrency < 1 || concurrency > 10_000) {
    problems.push({ option: 'concurrency', problem: `is ${concurrency}, not a whole number from 1 to 10,000` })
  }
  const { missing = 'dead-letter', late = 'ignore' } = given
  for (const [option, policy] of Object.entries({ missing, late })) {
    if (policy === 'dead-letter' || policy === 'ignore') continue
    problems.push({ option, problem: `is ${String(policy)}, not dead-letter or ignore` })
  }
  if (given.key !== undefined && typeof given.key !== 'function') {
    problems.push({ option: 'key', problem: 'is not a function' })
  }
  if (given.compensated !== undefined && typeof given.compensated !== 'function') {
    problems.push({ option: 'compensated', problem: 'is not a function' })
  }
  if (typeof body !== 'function') problems.push({ option: 'body', problem: 'is not a function' })
  const definition: SagaDefinition = {
    name,
    version,
    start: given.start as SagaStart,
    steps: given.steps ?? {},
    signals: given.signals ?? {},
    children: given.children ?? {},
    key: given.key,
    keepMs: optionMs('keep', given.keep ?? '1d', 1000, problems),
    missing,
    late,
    concurrency,
    stallTimeoutMs: optionMs('stallTimeout', given.stallTimeout ?? '30s', 1, problems),
    compensated: given.compensated,
    body,
  }
  if (problems.length > 0) throw new OptionsInvalidError(`saga ${JSON.stringify(name)}`, problems)
  return Object.freeze({ sagaKind: 'saga' as const, name, version, definition: Object.freeze(definition) })
}

const sagaOptions: ReadonlySet<string> = new Set([
  'version',
  'start',
  'steps',
  'signals',
  'children',
  'key',
  'keep',
  'missing',
  'late',
  'concurrency',
  'stallTimeout',
  'compensated',
])

function checkNames(
  name: string,
  options: Partial<SagaOptions<SagaStart, StepSet, SignalSet, ChildSet>>,
  problems: OptionProblem[],
): void {
  problems.push(...nameProblems(name))
  for (const option of Object.keys(options)) {
    if (!sagaOptions.has(option)) problems.push({ option, problem: 'is no option of saga()' })
  }
  if (!isSource(options.start)) {
    problems.push({ option: 'start', problem: 'is no event definition and no Standard Schema validator' })
  }
  const each = (option: 'steps' | 'signals' | 'children', isOne: (one: unknown) => boolean, what: string): void => {
    for (const [own, one] of Object.entries(options[option] ?? {})) {
      problems.push(...nameProblems(own, `${option}.${own}`))
      if (!isOne(one)) problems.push({ option: `${option}.${own}`, problem: `is not ${what}` })
    }
  }
  each('steps', (one) => (one as Partial<Step<never, never>> | undefined)?.stepKind === 'step', 'what step() makes')
  each('signals', isSource, 'an event definition or a Standard Schema validator')
  each('children', (one) => (one as Partial<Saga> | undefined)?.sagaKind === 'saga', 'what saga() makes')
  const types = Object.values(options.signals ?? {}).flatMap((one) => (isSource(one) && isEvent(one) ? [one.type] : []))
  if (new Set(types).size < types.length) {
    problems.push({ option: 'signals', problem: 'names one event under two names' })
  }
}

function isSource(one: unknown): one is SagaStart {
  if ((typeof one !== 'object' && typeof one !== 'function') || one === null) return false
  return (one as { messageKind?: unknown }).messageKind === 'event' || '~standard' in one
}
