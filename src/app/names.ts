/** Consumer group of a handler, decider or answer of a service: its whole name. */
export function groupOf(app: string, service: string, handler: string): string {
  return `${app}.${service}.${handler}`
}
