import { InvariantError } from './errors.ts'
import type { Json } from './json.ts'
import { differences } from './json-difference.ts'

/** What makes a value what it was before a change, as JSON: places (JSON Pointer), each with what stood there; alone: nothing did. */
export type Reversal = readonly (readonly [path: string, before?: Json])[]

/** How to come back from a value to the one before it; `undefined` is one that was not there. It holds no more than what differs. */
export function reversalOf(before: Json | undefined, after: Json | undefined): Reversal {
  return differences(before, after).map(({ path, before: was }) => (was === undefined ? [path] : [path, was]))
}

/**
 * The value before a change. Shares with the given one what did not change, and leaves that as it is.
 *
 * @throws InvariantError `INVARIANT_BROKEN`: the reversal belongs to another value
 */
export function reversed(after: Json | undefined, reversal: Reversal): Json | undefined {
  let value = after
  for (const [path, ...was] of reversal) value = withPlace(value, keysOf(path), 0, was[0])
  return value
}

function keysOf(path: string): readonly string[] {
  const parts = path.split('/').slice(1)
  return parts.map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
}

/** The value with another one at a place; `undefined`: with none. */
function withPlace(
  value: Json | undefined,
  keys: readonly string[],
  depth: number,
  placed: Json | undefined,
): Json | undefined {
  const key = keys[depth]
  if (key === undefined) return placed
  if (typeof value !== 'object' || value === null) {
    throw new InvariantError(`a reversal finds nothing at "${keys.slice(0, depth).join('/')}"`)
  }
  const tree = value as Tree
  const below = withPlace(Object.hasOwn(tree, key) ? tree[key] : undefined, keys, depth + 1, placed)
  return Array.isArray(value) ? withItem(value, Number(key), below) : withField(tree, key, below)
}

type Tree = { readonly [key: string]: Json }

/** Places of a list that held nothing are its last ones, so it ends before the first of them. */
function withItem(list: readonly Json[], index: number, item: Json | undefined): Json {
  if (item === undefined) return list.slice(0, index)
  const copy = [...list]
  copy[index] = item
  return copy
}

function withField(tree: Tree, key: string, field: Json | undefined): Json {
  const { [key]: _before, ...rest } = tree
  return field === undefined ? rest : { ...tree, [key]: field }
}
