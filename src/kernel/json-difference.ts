import type { Json } from './json.ts'

/** One place where two values differ; a side without the place is `undefined`. */
export interface Difference {
  /** JSON Pointer (RFC 6901); empty: the whole value. */
  readonly path: string
  readonly before: Json | undefined
  readonly after: Json | undefined
}

/** Where two JSON values differ, from the outside in: what is equal below is not named. */
export function differences(before: Json | undefined, after: Json | undefined, path = ''): Difference[] {
  if (before === after) return []
  if (!isTree(before) || !isTree(after) || Array.isArray(before) !== Array.isArray(after))
    return [{ path, before, after }]
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])]
  return keys.flatMap((key) => differences(own(before, key), own(after, key), `${path}/${escaped(key)}`))
}

type Tree = Readonly<Record<string, Json>>

function isTree(value: Json | undefined): value is Tree {
  return typeof value === 'object' && value !== null
}

function own(tree: Tree, key: string): Json | undefined {
  return Object.hasOwn(tree, key) ? tree[key] : undefined
}

function escaped(key: string): string {
  return key.replaceAll('~', '~0').replaceAll('/', '~1')
}
