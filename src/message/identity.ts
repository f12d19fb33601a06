import { createHash } from 'node:crypto'
import type { Message } from './envelope.ts'

/** Engines take keys of 1,024 bytes, and a foreign id may have any length: longer ones are told by their hash. */
const charactersMax = 300

/** Names a message: its id is unique with its source (CloudEvents 1.0.2 §3.1). At most 300 characters. */
export function identityOf({ id, source }: Pick<Message, 'id' | 'source'>): string {
  const identity = `${id} ${source}`
  return identity.length <= charactersMax ? identity : `sha256 ${createHash('sha256').update(identity).digest('hex')}`
}
