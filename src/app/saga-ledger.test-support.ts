import { existsSync, readFileSync } from 'node:fs'
import type { LedgerLine } from './fixtures/saga-crash.ts'

const refusedStep = 'ship'

/** Counts the effects that have reached the outside world so far, each once, however often it was attempted. */
export class LedgerWatch {
  readonly #ledger: string
  readonly #effects = new Set<string>()
  #bytesRead = 0

  constructor(ledger: string) {
    this.#ledger = ledger
  }

  /** Reads what has come since it was asked before. */
  effectCount(): number {
    if (!existsSync(this.#ledger)) return 0
    const bytes = readFileSync(this.#ledger).subarray(this.#bytesRead)
    // A line may be under way.
    const whole = bytes.subarray(0, bytes.lastIndexOf(10) + 1)
    this.#bytesRead += whole.length
    for (const line of linesOf(whole.toString())) this.#effects.add(`${line.instance} ${line.step} ${line.what}`)
    return this.#effects.size
  }
}

function linesOf(text: string): readonly LedgerLine[] {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LedgerLine)
}

/** All effects that reached the outside world, in order. */
export function ledgerLines(ledger: string): readonly LedgerLine[] {
  return linesOf(existsSync(ledger) ? readFileSync(ledger, 'utf8') : '')
}

/** Steps of an instance in the order in which the outside world saw them first: the same key has its effect once. */
function firstOf(lines: readonly LedgerLine[], what: LedgerLine['what']): readonly string[] {
  return [...new Set(lines.filter((line) => line.what === what).map(({ step }) => step))]
}

/** What the ledger says of each instance, `i0` and so on, and whether each effect had a key of its own. */
export function ledgerSummary(
  ledger: string,
  instanceCount: number,
): {
  readonly hasOneKeyPerEffect: boolean
  readonly instances: readonly { readonly run: readonly string[]; readonly undo: readonly string[] }[]
} {
  const byInstance = new Map<string, LedgerLine[]>()
  const keyOf = new Map<string, string>()
  const keys = new Set<string>()
  let hasOneKeyPerEffect = true
  for (const line of ledgerLines(ledger)) {
    const lines = byInstance.get(line.instance) ?? []
    byInstance.set(line.instance, lines)
    lines.push(line)
    const effect = `${line.instance} ${line.step} ${line.what}`
    if ((keyOf.get(effect) ?? line.key) !== line.key) hasOneKeyPerEffect = false
    keyOf.set(effect, line.key)
    keys.add(line.key)
  }
  if (keys.size !== keyOf.size) hasOneKeyPerEffect = false
  const instances = Array.from({ length: instanceCount }, (_, n) => {
    const lines = byInstance.get(`i${n}`) ?? []
    const [run, undo] = [firstOf(lines, 'run'), firstOf(lines, 'undo')]
    // Of an attempt that a kill cut short nobody knows what it did: the step is undone as well, although it is refused then.
    const isUnsure = undo[0] === refusedStep && !run.includes(refusedStep)
    return { run, undo: isUnsure ? undo.slice(1) : undo }
  })
  return { hasOneKeyPerEffect, instances }
}

/** What the ledger has to say: every third instance is refused at its last step, and undone. */
export function wantedLedger(instanceCount: number): ReturnType<typeof ledgerSummary> {
  const done = { run: ['reserve', 'charge', refusedStep], undo: [] }
  const undone = { run: ['reserve', 'charge'], undo: ['charge', 'reserve'] }
  return {
    hasOneKeyPerEffect: true,
    instances: Array.from({ length: instanceCount }, (_, n) => (n % 3 === 0 ? undone : done)),
  }
}
