/* oxlint-disable unicorn/no-thenable -- a promise has one */
/**
 * What a body gets for something that takes time. It knows whether anybody looks at it: a step that nobody awaits would be lost
 * with the end of the body, and its failure at any time.
 */
export class AskedPromise extends Promise<unknown> {
  /** Whether somebody awaits it, or has put it into a race or the like. */
  isAwaited = false

  /** What is made of it is an ordinary promise. */
  static override get [Symbol.species](): PromiseConstructor {
    return Promise
  }

  // biome-ignore lint/suspicious/noThenProperty: a promise has one
  override then<Value = unknown, Other = never>(
    onValue?: ((value: unknown) => Value | PromiseLike<Value>) | null,
    onError?: ((reason: unknown) => Other | PromiseLike<Other>) | null,
  ): Promise<Value | Other> {
    this.isAwaited = true
    return super.then(onValue, onError)
  }

  /** A failure that nobody looks at must not end the process. */
  quieten(): this {
    super.then(undefined, () => undefined)
    return this
  }
}
