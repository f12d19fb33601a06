/** Signals that wait for a body, or events for a process: at most so many. */
export const waitingCountMax = 1000
/** They have to fit into one timer when they are given up together. */
const waitingCharactersMax = 1_000_000

/** Whether there is room for one more. */
export function hasRoom(waiting: readonly unknown[], next: unknown): boolean {
  return waiting.length < waitingCountMax && JSON.stringify([...waiting, next]).length <= waitingCharactersMax
}
