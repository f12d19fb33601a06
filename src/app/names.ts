import { NameInvalidError, NameTakenError } from './errors.ts'

/** Names of apps, services and views are parts of topic names, group names and command lines. */
const namePattern = /^[A-Za-z0-9][A-Za-z0-9_-]{0,99}$/

/** @throws NameInvalidError */
export function checkName(kind: string, name: string): void {
  if (typeof name !== 'string' || !namePattern.test(name)) throw new NameInvalidError(kind, name)
}

/** Consumer group of a handler, decider or answer of a service: its whole name. */
export function groupOf(app: string, service: string, handler: string): string {
  return `${app}.${service}.${handler}`
}

/** @throws NameTakenError */
export function checkUnique(place: string, named: readonly { readonly name: string }[]): void {
  const seen = new Set<string>()
  for (const { name } of named) {
    if (seen.has(name)) throw new NameTakenError(place, name)
    seen.add(name)
  }
}
