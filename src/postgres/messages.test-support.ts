import { frozenJson, systemClock, systemRandom, uuidv7 } from '../kernel/index.ts'
import { type Message, sealed } from '../message/index.ts'

const nextId = uuidv7(systemClock, systemRandom)

/** A message as a program would make it. */
export function message(type: string, data: unknown = {}, attributes: Partial<Message> = {}): Message {
  return sealed({
    specversion: '1.0',
    id: nextId(),
    source: '/test',
    type,
    time: '2026-01-01T00:00:00.000Z',
    datacontenttype: 'application/json',
    dataversion: 1,
    data: data instanceof Uint8Array ? data : frozenJson(data),
    ...attributes,
  })
}

/** A message that holds its number. */
export function numbered(n: number): Message {
  return message('Numbered', n)
}

/** The code of the error that a call ends with; undefined: it ended well. */
export function codeOf(call: Promise<unknown>): Promise<string | undefined> {
  return call.then(
    () => undefined,
    (error: Error & { readonly code?: string }) => error.code ?? error.message,
  )
}
