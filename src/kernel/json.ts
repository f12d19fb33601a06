import { JsonInvalidError } from './errors.ts'

/** What JSON can carry. */
export type Json = null | boolean | number | string | readonly Json[] | { readonly [key: string]: Json }

/** Nesting beyond this many levels is refused, so that no walk over data can exhaust the stack. */
export const jsonDepthMax = 256

/** What a walk found: filled from the innermost key outwards while the recursion unwinds. */
interface Finding {
  reason: string
  readonly path: (string | number)[]
}

const tooDeep = `is nested more than ${jsonDepthMax} levels deep`
const beyondRange = 'is a number beyond what can be kept'
const prototypeKey = 'has a name that could reach into prototypes'

const refused: unique symbol = Symbol('refused')
const objectPrototype = Object.prototype

/**
 * A deep-frozen copy of a value, checked to survive JSON unchanged.
 *
 * It copies because a validator may pass parts of its input through: freezing those would reach into the caller's own
 * objects. Properties that are `undefined` are left out, as JSON does; `-0` becomes `0`. Everything else that JSON would
 * change in silence is refused: cycles, more than {@link jsonDepthMax} levels, `undefined` or holes in arrays, NaN,
 * infinities, BigInt, functions, symbols, class instances (Date, Map, Buffer, …), and the key
 * `__proto__`.
 *
 * @param root Name of the value in errors. Default `data`.
 * @throws JsonInvalidError `JSON_INVALID`, with the path, such as `data.lines[2].price`.
 */
export function frozenJson<Value>(value: Value, root = 'data'): Value {
  const finding: Finding = { reason: '', path: [] }
  const copy = copyValue(value, 0, finding)
  if (copy !== refused) return copy as Value
  throw errorOf(value, finding, root)
}

/** What {@link frozenJson} would say against a value; `undefined`: nothing. What is plain JSON, as nearly all is, is not copied. */
export function jsonProblem(value: unknown, root = 'data'): JsonInvalidError | undefined {
  const finding: Finding = { reason: '', path: [] }
  if (isPlainJson(value, 0) || copyValue(value, 0, finding) !== refused) return undefined
  return errorOf(value, finding, root)
}

/**
 * The JSON text of a value, which is checked as {@link frozenJson} checks it, without a copy of it.
 *
 * @param root Name of the value in errors. Default `data`.
 * @throws JsonInvalidError `JSON_INVALID`, with the path, such as `data.lines[2].price`.
 */
export function jsonText(value: unknown, root = 'data'): string {
  // What the plain look does not take is copied, which tells what is wrong with it.
  return JSON.stringify(isPlainJson(value, 0) ? value : frozenJson(value, root))
}

/**
 * Deep-freezes, in place, a value that `JSON.parse` just made, and returns it.
 *
 * Such a value is a tree of plain things already, so only its depth and its keys are checked.
 *
 * @param root Name of the value in errors. Default `data`.
 * @throws JsonInvalidError `JSON_INVALID` if it is nested more than {@link jsonDepthMax} levels deep, or has a key
 *   `__proto__` or a number that is too large.
 */
export function freezeParsedJson<Value>(value: Value, root = 'data'): Value {
  const finding: Finding = { reason: '', path: [] }
  if (typeof value !== 'object' || value === null) {
    if (!isBeyondRange(value)) return value
    finding.reason = beyondRange
  } else if (freezeTree(value, 0, finding) !== refused) return value
  throw new JsonInvalidError(pathText(root, finding.path), finding.reason)
}

function copyValue(value: unknown, depth: number, finding: Finding): unknown {
  switch (typeof value) {
    case 'string':
    case 'boolean':
      return value
    case 'number':
      // Adding 0 turns -0 into 0.
      if (Number.isFinite(value)) return value + 0
      return refuse(finding, `is ${value}`)
    case 'object':
      if (value === null) return null
      if (depth >= jsonDepthMax) return refuse(finding, '')
      return Array.isArray(value) ? copyArray(value, depth + 1, finding) : copyObject(value, depth + 1, finding)
    case 'undefined':
      return refuse(finding, 'is undefined')
    case 'bigint':
      return refuse(finding, 'is a BigInt')
    default:
      return refuse(finding, `is a ${typeof value}`)
  }
}

function copyArray(value: readonly unknown[], depth: number, finding: Finding): unknown {
  if (!isPlainArray(value)) return refuse(finding, instanceReason(value))
  const copy: unknown[] = []
  for (let index = 0; index < value.length; index++) {
    const item = copyValue(value[index], depth, finding)
    if (item === refused) {
      finding.path.push(index)
      return refused
    }
    copy.push(item)
  }
  return Object.freeze(copy)
}

/** A copy that is spread has the shape of its source, and is made in a fraction of the time that its properties take one by one. */
function copyObject(value: object, depth: number, finding: Finding): unknown {
  if (!isPlainObject(value)) return refuse(finding, instanceReason(value))
  const copy: Record<string, unknown> = { ...value }
  let hasUndefined = false
  for (const key in copy) {
    const property = copy[key]
    if (typeof property === 'string' && !isPrototypeKey(key)) continue
    if (property === undefined) {
      hasUndefined = true
      continue
    }
    const item = isPrototypeKey(key) ? refuse(finding, prototypeKey) : copyValue(property, depth, finding)
    // Somebody may have given all objects a property: it belongs to none of them.
    if (Object.is(item, property) || !Object.hasOwn(copy, key)) continue
    if (item === refused) {
      finding.path.push(key)
      return refused
    }
    copy[key] = item
  }
  if (Object.getOwnPropertySymbols(copy).length > 0) return refuse(finding, 'has a symbol as a key')
  return Object.freeze(hasUndefined ? withoutUndefined(copy) : copy)
}

/** Property by property, as an object from which some were deleted is slow from then on. */
function withoutUndefined(source: Readonly<Record<string, unknown>>): Record<string, unknown> {
  const copy: Record<string, unknown> = {}
  for (const key of Object.keys(source)) if (source[key] !== undefined) copy[key] = source[key]
  return copy
}

/** The prototype of plain arrays, of any realm, is an array itself; that of a subclass is not. */
function isPlainArray(value: readonly unknown[]): boolean {
  return Array.isArray(Object.getPrototypeOf(value))
}

/** Plain objects of other realms have another Object.prototype, which has no prototype itself. */
function isPlainObject(value: object): boolean {
  const prototype: unknown = Object.getPrototypeOf(value)
  return prototype === objectPrototype || prototype === null || Object.getPrototypeOf(prototype) === null
}

/** Whether `JSON.stringify` writes a value down as it is. */
function isPlainJson(value: unknown, depth: number): boolean {
  if (typeof value === 'number') return Number.isFinite(value)
  if (typeof value !== 'object') return typeof value === 'string' || typeof value === 'boolean'
  if (value === null) return true
  if (depth >= jsonDepthMax) return false
  if (Array.isArray(value)) {
    if (!isPlainArray(value)) return false
    for (let index = 0; index < value.length; index++) if (!isPlainJson(value[index], depth + 1)) return false
    return true
  }
  if (!isPlainObject(value)) return false
  const source = value as Readonly<Record<string, unknown>>
  for (const key of Object.keys(value)) {
    if (isPrototypeKey(key) || !isPlainJson(source[key], depth + 1)) return false
  }
  return Object.getOwnPropertySymbols(value).length === 0
}

function freezeTree(value: object, depth: number, finding: Finding): unknown {
  if (depth >= jsonDepthMax) return refuse(finding, tooDeep)
  if (Array.isArray(value)) {
    for (let index = 0; index < value.length; index++) {
      const item: unknown = value[index]
      if (typeof item !== 'object' || item === null) {
        if (!isBeyondRange(item)) continue
        refuse(finding, beyondRange)
      } else if (freezeTree(item, depth + 1, finding) !== refused) continue
      finding.path.push(index)
      return refused
    }
  } else {
    for (const key in value) {
      const item = (value as Readonly<Record<string, unknown>>)[key]
      if (isPrototypeKey(key)) refuse(finding, prototypeKey)
      else if (typeof item !== 'object' || item === null) {
        if (!isBeyondRange(item)) continue
        refuse(finding, beyondRange)
      } else if (freezeTree(item, depth + 1, finding) !== refused) continue
      finding.path.push(key)
      return refused
    }
  }
  return Object.freeze(value)
}

/** What `JSON.parse` makes of a number such as 1e999, which it would write as `null`. */
function isBeyondRange(value: unknown): boolean {
  return value === Number.POSITIVE_INFINITY || value === Number.NEGATIVE_INFINITY
}

function isPrototypeKey(key: string): boolean {
  // `constructor` and `prototype` are honest field names: as own properties they reach nothing.
  return key === '__proto__'
}

function refuse(finding: Finding, reason: string): typeof refused {
  finding.reason = reason
  return refused
}

function instanceReason(value: object): string {
  const name: unknown = (value as { readonly constructor?: { readonly name?: unknown } }).constructor?.name
  return `is an instance of ${typeof name === 'string' && name !== '' ? name : 'a class'}, not a plain object or array`
}

function errorOf(value: unknown, finding: Finding, root: string): JsonInvalidError {
  const reason = reasonOf(value, finding)
  return new JsonInvalidError(pathText(root, finding.path), reason)
}

/** Too deep is either honest or a cycle: only the failed value pays for finding out. */
function reasonOf(value: unknown, finding: Finding): string {
  if (finding.reason !== '') return finding.reason
  const ancestors = new Set<unknown>()
  let node: unknown = value
  const keys = finding.path.toReversed()
  for (const [index, key] of keys.entries()) {
    ancestors.add(node)
    node = (node as Readonly<Record<string | number, unknown>>)[key]
    if (!ancestors.has(node)) continue
    finding.path.splice(0, finding.path.length, ...keys.slice(0, index + 1).reverse())
    return 'refers back to an object that contains it'
  }
  return tooDeep
}

const plainKey = /^[A-Za-z_$][\w$]*$/
const shownKeysMax = 24

function pathText(root: string, reversedPath: readonly (string | number)[]): string {
  let text = root
  for (const key of reversedPath.toReversed().slice(0, shownKeysMax)) {
    if (typeof key === 'number') text += `[${key}]`
    else text += plainKey.test(key) ? `.${key}` : `[${JSON.stringify(key)}]`
  }
  return reversedPath.length > shownKeysMax ? `${text}…` : text
}
