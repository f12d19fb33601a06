import type { TimerWrite } from '../engine/index.ts'
import type { Json } from '../kernel/index.ts'
import { identityOf, type Message } from '../message/index.ts'
import { delayedSendOwner } from './namespaces.ts'

/** The durable timer that stands for a command until its time has come. */
export function delayedSend(app: string, command: Message, dueMs: number): TimerWrite {
  const payload = command as unknown as Json
  return { kind: 'schedule', owner: delayedSendOwner(app), id: identityOf(command), dueMs, payload }
}

/** The command that a timer stands for. */
export function delayedCommand(payload: Json): Message {
  return payload as unknown as Message
}
