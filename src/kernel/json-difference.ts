import type { Json } from './json.ts'

/** One place where two values differ; a side without the place is `undefined`. */
export interface Difference {
  /** JSON Pointer (RFC 6901); empty: the whole value. */
  readonly path: string
  readonly before: Json | undefined
  readonly after: Json | undefined
}

/** Where two JSON values differ, from the outside in: what is equal below is not named. */
export function differences(before: Json | undefined, after: Json | undefined): Difference[] {
  const found: Difference[] = []
  collect(before, after, '', found)
  return found
}

/** Names a place only where something differs: choreographies compare the states of each process with each event. */
function collect(before: Json | undefined, after: Json | undefined, path: string, found: Difference[]): void {
  if (before === after) return
  if (!isTree(before) || !isTree(after) || Array.isArray(before) !== Array.isArray(after)) {
    found.push({ path, before, after })
    return
  }
  for (const key of Object.keys(before)) {
    const [was, is] = [before[key], own(after, key)]
    if (was !== is) collect(was, is, `${path}/${escaped(key)}`, found)
  }
  for (const key of Object.keys(after)) {
    if (!Object.hasOwn(before, key))
      found.push({ path: `${path}/${escaped(key)}`, before: undefined, after: after[key] })
  }
}

type Tree = Readonly<Record<string, Json>>

function isTree(value: Json | undefined): value is Tree {
  return typeof value === 'object' && value !== null
}

function own(tree: Tree, key: string): Json | undefined {
  return Object.hasOwn(tree, key) ? tree[key] : undefined
}

function escaped(key: string): string {
  return /[~/]/.test(key) ? key.replaceAll('~', '~0').replaceAll('/', '~1') : key
}
