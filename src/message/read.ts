import { acceptData, type CreationRules } from './create.ts'
import type { AnyDefinition, ReadOptions } from './definition.ts'
import type { Message } from './envelope.ts'
import { TypeMismatchError, UpcastFailedError, UpcastMissingError, VersionUnknownError } from './errors.ts'
import type { UpcastChain } from './upcast.ts'

/** Whether a message is what its definition reads, so that nobody need call `read`. */
export function isCurrent({ version, validateOnRead }: AnyDefinition, { dataversion }: Message): boolean {
  return version === dataversion && !validateOnRead
}

/** Reads a message as the current version of its definition. What it throws is documented at `MessageDefinition`. */
export function readMessage(
  rules: CreationRules,
  chain: UpcastChain<number, unknown> | undefined,
  message: Message,
  { validate = rules.validateOnRead }: ReadOptions = {},
): Message {
  const version = message.dataversion
  if (message.type !== rules.type) throw new TypeMismatchError(rules.type, message.type, message.id)
  if (version === rules.version) {
    return validate ? withData(message, version, acceptData(rules, message.data)) : message
  }
  const details = { type: rules.type, messageId: message.id, version, currentVersion: rules.version }
  if (version > rules.version) throw new VersionUnknownError(details)
  if (chain === undefined || !(version >= chain.from)) throw new UpcastMissingError(details)
  const upcast = chain.run(version, message.data)
  if (!upcast.ok) throw new UpcastFailedError(details, upcast.failedAt, upcast.cause)
  let accepted: unknown
  try {
    accepted = acceptData(rules, upcast.data)
  } catch (cause) {
    throw new UpcastFailedError(details, rules.version, cause)
  }
  return withData(message, rules.version, accepted)
}

/** Overwriting in a copy keeps the order of the attributes, and with it the shape. */
function withData(message: Message, dataversion: number, data: unknown): Message {
  return Object.freeze({ ...message, dataversion, data })
}
