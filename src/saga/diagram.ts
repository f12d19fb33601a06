import { ArgumentInvalidError } from '../engine/index.ts'
import type { Choreography } from './choreography.ts'
import type { AnySaga } from './definition.ts'
import type { SagaActivity, SagaInstance } from './instance.ts'
import { isEvent } from './kept-data.ts'

/**
 * A Mermaid flowchart: of a saga as it is declared (what its body may ask for), of one instance (what its body has asked for, in
 * order, and what came of it), or of a choreography (which events its rules wait for).
 *
 * @example
 * ```ts
 * console.log(mermaid(fulfilment))
 * ```
 */
export function mermaid(of: AnySaga | Choreography | SagaInstance): string {
  if (typeof of !== 'object' || of === null || !('sagaKind' in of || 'choreography' in of || 'activities' in of)) {
    throw new ArgumentInvalidError('what is drawn', 'is no saga, choreography or instance of a saga')
  }
  if ('sagaKind' in of) return lines(declared(of))
  return lines('choreography' in of ? ruled(of) : happened(of))
}

function lines(content: readonly string[]): string {
  return `flowchart TD\n${content.map((line) => `  ${line}\n`).join('')}`
}

function declared({ name, definition }: AnySaga): readonly string[] {
  const { start, steps, signals, children } = definition
  const from = isEvent(start) ? start.type : 'start'
  const out = [`start([${text(from)}]) --> body[${text(`saga ${name}`)}]`]
  for (const [index, [step, { undo }]] of Object.entries(steps).entries()) {
    out.push(`body --> step${index}[${text(step)}]`)
    if (undo !== undefined) out.push(`step${index} -. ${text('undo')} .-> undo${index}[${text(`undo ${step}`)}]`)
  }
  for (const [index, [signal, source]] of Object.entries(signals).entries()) {
    const what = isEvent(source) ? `${signal}: ${source.type}` : signal
    out.push(`signal${index}>${text(what)}] --> body`)
  }
  for (const [index, [child, of]] of Object.entries(children).entries()) {
    out.push(`body --> child${index}[[${text(child === of.name ? child : `${child}: ${of.name}`)}]]`)
  }
  return out
}

const shapes: Readonly<Record<SagaActivity['kind'], readonly [string, string]>> = {
  step: ['[', ']'],
  sleep: ['([', '])'],
  signal: ['>', ']'],
  child: ['[[', ']]'],
  publish: ['[/', '/]'],
  send: ['[/', '/]'],
  patch: ['{{', '}}'],
}

function happened({ saga, key, status, activities, failure, parked }: SagaInstance): readonly string[] {
  const out = [`start([${text(`${saga} ${key}`)}])`]
  let last = 'start'
  for (const [index, { id, kind, state }] of activities.entries()) {
    const [open, close] = shapes[kind]
    out.push(`${last} --> a${index}${open}${text(`${id}: ${state}`)}${close}`)
    last = `a${index}`
  }
  const why = parked?.problem ?? failure?.message
  // Not `end`: Mermaid keeps that word for itself.
  out.push(`${last} --> status([${text(why === undefined ? status : `${status}: ${why}`)}])`)
  return out
}

function ruled({ name, events, choreography }: Choreography): readonly string[] {
  const out = events.map(({ type }, index) => {
    const what = choreography.starts.has(type) ? `${type} begins ${name}` : type
    return `event${index}>${text(what)}]`
  })
  const eventOf = (type: string): string => `event${events.findIndex((event) => event.type === type)}`
  for (const [index, { kind, name: rule, types, since }] of choreography.rules.entries()) {
    out.push(kind === 'timeout' ? `rule${index}([${text(rule)}])` : `rule${index}{${text(rule)}}`)
    if (since !== undefined) out.push(`${eventOf(since)} --> rule${index}`)
    for (const type of types) {
      out.push(
        kind === 'timeout'
          ? `${eventOf(type)} -. ${text('calls off')} .-> rule${index}`
          : `${eventOf(type)} --> rule${index}`,
      )
    }
  }
  return out
}

/** What Mermaid takes for more than text, also in quotes: entities, directives, Markdown and HTML. */
const special = /[#"%`<>&]/g

/** Text as Mermaid takes it in quotes. */
function text(content: string): string {
  const escaped = content.replaceAll(special, (one) => `#${one === '"' ? 'quot' : one.charCodeAt(0)};`)
  return `"${escaped.replaceAll(/[\r\n]+/g, ' ')}"`
}
