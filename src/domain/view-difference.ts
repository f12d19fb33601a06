import type { Engine, StateEntry, StateOwner } from '../engine/index.ts'
import { differences, type Json } from '../kernel/index.ts'

/** A key whose value differs between two copies; a copy without the key is `undefined`. */
export interface DifferingKey {
  readonly key: string
  readonly live: Json | undefined
  readonly other: Json | undefined
}

/** How two copies of a view differ. */
export interface ViewDifference {
  /** The copies, such as `v1` and `v2`. */
  readonly copies: { readonly live: string; readonly other: string }
  readonly sameCount: number
  /** Keys that both have, with different values. */
  readonly differingCount: number
  readonly onlyLiveCount: number
  readonly onlyOtherCount: number
  /** The first of them, in the order of their keys. */
  readonly first: readonly DifferingKey[]
}

/** Where a copy stands. */
export interface CopyStand {
  readonly namespace: string
  readonly owner: StateOwner | undefined
}

const pageSize = 500

/**
 * Compares two copies row by row. It reads page by page and keeps no more than two of them and the differences that are asked
 * for. Not a snapshot: keys that change meanwhile may be seen before in one copy and after in the other.
 */
export async function differenceOf(
  engine: Engine,
  live: CopyStand,
  other: CopyStand,
  options: { readonly limit: number; readonly signal: AbortSignal | undefined },
): Promise<Omit<ViewDifference, 'copies'>> {
  const counts = { sameCount: 0, differingCount: 0, onlyLiveCount: 0, onlyOtherCount: 0 }
  const first: DifferingKey[] = []
  for await (const [a, b] of besideEachOther(rows(engine, live), rows(engine, other))) {
    options.signal?.throwIfAborted()
    if (a !== undefined && b !== undefined && differences(a.value, b.value).length === 0) {
      counts.sameCount++
      continue
    }
    if (b === undefined) counts.onlyLiveCount++
    else if (a === undefined) counts.onlyOtherCount++
    else counts.differingCount++
    const key = (a ?? b)?.key as string
    if (first.length < options.limit) first.push({ key, live: a?.value, other: b?.value })
  }
  return { ...counts, first }
}

async function* rows(engine: Engine, { namespace, owner }: CopyStand): AsyncGenerator<StateEntry, void, void> {
  let after: string | undefined
  for (;;) {
    const page = await engine.state.range(namespace, { limit: pageSize, ...(after !== undefined && { after }) }, owner)
    yield* page
    if (page.length < pageSize) return
    after = page.at(-1)?.key
  }
}

/** Two rows of one key, or one alone. Both sides come in the order of their keys as bytes. */
async function* besideEachOther(
  left: AsyncGenerator<StateEntry, void, void>,
  right: AsyncGenerator<StateEntry, void, void>,
): AsyncGenerator<readonly [StateEntry | undefined, StateEntry | undefined], void, void> {
  const take = async (side: AsyncGenerator<StateEntry, void, void>): Promise<StateEntry | undefined> => {
    const { value } = await side.next()
    return value ?? undefined
  }
  let [a, b] = [await take(left), await take(right)]
  while (a !== undefined || b !== undefined) {
    const order = a === undefined ? 1 : b === undefined ? -1 : Buffer.compare(Buffer.from(a.key), Buffer.from(b.key))
    yield [order <= 0 ? a : undefined, order >= 0 ? b : undefined]
    if (order <= 0) a = await take(left)
    if (order >= 0) b = await take(right)
  }
}
