import { extensionOf, type Message } from './envelope.ts'

/** Extension attribute of events: type of the command that they go back to, whose id is their `causationid`. */
export const causeTypeAttribute = 'causationtype'

/** Type of the command that a message goes back to; `undefined`: it is not known. */
export function causeTypeOf(message: Message): string | undefined {
  const type = extensionOf(message, causeTypeAttribute)
  return typeof type === 'string' ? type : undefined
}
