/** What an object is made of that is there already. */
function given(value: object): object {
  return value
}

/**
 * The mark of what Millrace itself made: a private field, which only this class can give to an object. Copies of the object,
 * in this thread or another, do not have it, nobody sees it, and it costs no look-up in a table.
 */
class Seal extends (given as unknown as new (value: object) => object) {
  readonly #isMade = true

  static isOn(value: object): boolean {
    return #isMade in value && value.#isMade
  }
}

/** Freezes and marks a message that was just made. Who calls this vouches for it, as for {@link sealMessage}. */
export function sealed<M extends object>(message: M): M {
  new Seal(message)
  return Object.freeze(message)
}

/**
 * Whether this very object was made by a definition or a decoder, which checked it, and cannot have changed since. What was frozen by
 * hand is not, nor is a copy of a sealed message: nobody knows what is in it.
 */
export function isSealed(message: object): boolean {
  return Seal.isOn(message)
}
