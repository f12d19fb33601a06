import type { OptionProblem } from '../kernel/index.ts'
import type { AnyDefinition } from '../message/index.ts'
import type { Service } from './service.ts'

/** Types of commands that handlers made by `on` take: they are sent, and nobody replies. */
export function sentOnlyTypes(services: readonly Service[]): ReadonlySet<string> {
  const definitions = services.flatMap(({ handlers }) => handlers.flatMap(({ events }) => events))
  return new Set(definitions.filter(({ messageKind }) => messageKind === 'command').map(({ type }) => type))
}

/** Types of all commands and queries that somebody handles, in this app or in another one. */
export function handledTypes(services: readonly Service[], remote: readonly AnyDefinition[]): readonly string[] {
  const own = services.flatMap(({ deciders, answers }) => [
    ...deciders.flatMap(({ commands }) => commands.map(({ type }) => type)),
    ...answers.map(({ query }) => query.type),
  ])
  return [...own, ...sentOnlyTypes(services), ...remote.map(({ type }) => type)]
}

/** Commands and queries that more than one handles, in this app or in another one. */
export function handledTwice(services: readonly Service[], remote: readonly AnyDefinition[]): OptionProblem[] {
  const takersOf = new Map<string, string[]>()
  const take = (type: string, taker: string): unknown => takersOf.set(type, [...(takersOf.get(type) ?? []), taker])
  for (const { name, handlers, deciders, answers } of services) {
    for (const { name: handler, events } of handlers) {
      for (const one of events) if (one.messageKind !== 'event') take(one.type, `${name}.${handler}`)
    }
    for (const { name: decider, commands } of deciders) for (const one of commands) take(one.type, `${name}.${decider}`)
    for (const { name: answer, query } of answers) take(query.type, `${name}.${answer}`)
  }
  for (const { type } of remote) take(type, 'another app (option remote)')
  return Array.from(takersOf)
    .filter(([, takers]) => takers.length > 1)
    .map(([type, takers]) => ({
      option: 'services',
      problem: `have ${type} handled by ${takers.join(' and by ')}; a command or query has one handler`,
    }))
}
