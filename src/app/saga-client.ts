import type { CarriedBy, SagaInstance, SagaOutcome, SagaSelection, SignalSet } from '../saga/index.ts'

/** Talks to the instances of a saga of a running app. What it tells them is durable when the call resolves. */
export interface SagaClient<Input, Result, Signals extends SignalSet> {
  /**
   * Starts an instance. If there is one under the key, also one that has ended and is still kept, nothing happens.
   *
   * @throws SagaInputInvalidError `SAGA_INPUT_INVALID`
   */
  start(key: string, input: Input): Promise<void>
  /** Starts an instance and waits for its end. */
  run(key: string, input: Input, options?: { readonly signal?: AbortSignal }): Promise<SagaOutcome<Result>>
  /** @throws SagaInputInvalidError `SAGA_INPUT_INVALID` */
  signal<Name extends keyof Signals & string>(key: string, name: Name, data: CarriedBy<Signals[Name]>): Promise<void>
  /** Stops an instance that is running, as soon as the step at hand is over, and undoes what it has done. */
  cancel(key: string, reason?: string): Promise<void>
  /** Waits until an instance has ended or is parked: now, or once it is started. */
  outcome(key: string, options?: { readonly signal?: AbortSignal }): Promise<SagaOutcome<Result>>
  get(key: string): Promise<SagaInstance<Input, Result> | undefined>
  /** In the order of their keys. Looks through all instances with the prefix. */
  list(selection?: SagaSelection): Promise<readonly SagaInstance<Input, Result>[]>
  /** Lets an instance go on that is parked, and tries at once what waits for its next attempt. */
  retry(key: string): Promise<void>
  /** Pretends that a step is done, with this output; once the instance is being compensated, that it is undone. */
  skip(key: string, step: string, output?: unknown): Promise<void>
  /** Undoes what an instance has done, also one that has completed or is parked. */
  compensate(key: string, reason?: string): Promise<void>
}
