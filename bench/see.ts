import { InvariantError } from '../src/kernel/index.ts'

let seen = 0

/** Takes what a loop found and nobody needs, so that no compiler may leave the work out. */
export function see(amount: number): void {
  seen += amount
  if (Number.isNaN(seen)) throw new InvariantError('what was measured is a number')
}
