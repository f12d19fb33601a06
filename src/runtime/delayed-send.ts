import { checkMessage } from '../committing/index.ts'
import type { TimerWrite } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { identityOf, type Message } from '../message/index.ts'
import { delayedSendOwner } from './namespaces.ts'

/**
 * The durable timer that stands for a command until its time has come.
 *
 * @throws ArgumentInvalidError `ARGUMENT_INVALID`: it could not be sent then
 */
export function delayedSend(app: string, command: Message, dueMs: number): TimerWrite {
  checkMessage(command)
  const payload = command as unknown as Json
  return { kind: 'schedule', owner: delayedSendOwner(app), id: identityOf(command), dueMs, payload }
}

/** The command that a timer stands for. */
export function delayedCommand(payload: Json): Message {
  return payload as unknown as Message
}
