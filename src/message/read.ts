import { acceptData, type CreationRules } from './create.ts'
import type { AnyDefinition, ReadOptions } from './definition.ts'
import { type Message, withAttributes } from './envelope.ts'
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
  options?: ReadOptions,
): Message {
  if (message?.type !== rules.type) throw new TypeMismatchError(rules.type, String(message?.type), String(message?.id))
  const validate = options?.validate ?? rules.validateOnRead
  const version = message.dataversion
  if (version === rules.version) {
    return validate ? withAttributes(message, { data: acceptData(rules, message.data) }) : message
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
  return withAttributes(message, { dataversion: rules.version, data: accepted })
}
