import { basename } from 'node:path'
import { parseSync } from '@swc/core'
import { unshipped } from './unshipped.ts'

/** One place that breaks a rule of the house. */
export interface Finding {
  readonly rule: string
  readonly path: string
  readonly line: number
  readonly what: string
}

/** An exception from a rule, for one file, with the reason that makes it right. */
export interface Exception {
  readonly rule: string
  readonly path: string
  readonly reason: string
}

const lineCountMax = 400

const isTest = (path: string): boolean => unshipped.test(path)
const isShipped = (path: string): boolean => path.startsWith('src/') && path.endsWith('.ts') && !isTest(path)
const inModule = (path: string, name: string): boolean => path.startsWith(`src/${name}/`)

// Written in parts, so that this file does not break the rules that it states.
const machineFolders = ['work', 'root', 'tmp', 'home/[a-z]\\w*', 'Users/\\w+'].join('|')
const machinePath = new RegExp(String.raw`(?:^|[\s"'\x60(=:,])/(?:${machineFolders})(?:/|["'\x60])`)
const registryHost = new RegExp(['registry', 'npmjs'].join(String.raw`\.`), 'i')
const forbiddenNames = /^(utils?|helpers?|common|manager|misc|shared|types)$|[-.](utils?|helpers?|manager)$/

/** Rules that any text file of the repository has to keep. */
export function checkText(path: string, text: string): Finding[] {
  const findings: Finding[] = []
  const lines = text.split('\n')
  for (const [index, line] of lines.entries()) {
    const add = (rule: string, what: string): number => findings.push({ rule, path, line: index + 1, what })
    if (machinePath.test(line)) add('machine-path', 'a path of one machine')
    if (registryHost.test(line)) add('registry-host', 'the host of a package registry')
    if (path === 'package-lock.json' && /"resolved":/.test(line))
      add('registry-host', 'a download address in the lock file')
  }
  if (!/\.(ts|mjs)$/.test(path)) return findings
  if (forbiddenNames.test(basename(path).replace(/(\.test|\.test-d|\.bench)?\.(ts|mjs)$/, ''))) {
    findings.push({ rule: 'file-name', path, line: 1, what: 'a name that says nothing about what is inside' })
  }
  if (lines.length > lineCountMax && !/^(#!.*\n)?\s*(\/\/|\/\*)[^\n]*(\n\s*(\/\/|\*)[^\n]*)*long because/i.test(text)) {
    const what = `${lines.length} lines, and its first comment does not say "Long because …"`
    findings.push({ rule: 'file-length', path, line: 1, what })
  }
  return findings
}

interface SyntaxNode {
  readonly type: string
  readonly span?: { readonly start: number }
  readonly [field: string]: unknown
}

const isNode = (value: unknown): value is SyntaxNode =>
  typeof value === 'object' && value !== null && typeof (value as SyntaxNode).type === 'string'

function visit(value: unknown, see: (node: SyntaxNode) => void): void {
  if (Array.isArray(value)) {
    for (const entry of value) visit(entry, see)
    return
  }
  if (typeof value !== 'object' || value === null) return
  if (isNode(value)) see(value)
  for (const field of Object.values(value)) if (typeof field === 'object') visit(field, see)
}

/** `a.b.c` of an identifier or a chain of plain members; empty for anything else. */
function nameOf(node: unknown): string {
  if (!isNode(node)) return ''
  if (node.type === 'Identifier') return String(node['value'])
  if (node.type === 'MemberExpression') {
    const property = node['property']
    return isNode(property) && property.type === 'Identifier'
      ? `${nameOf(node['object'])}.${String(property['value'])}`
      : ''
  }
  return node.type === 'CallExpression' ? nameOf(node['callee']) : ''
}

/** `setImmediate` is not here: it yields to other work and knows no time. */
const timers = /^(globalThis\.)?(setTimeout|setInterval)$/
const ambientTime = /^(globalThis\.)?(Date\.now|performance\.now|process\.hrtime(\.bigint)?)$/
const ambientRandom = /^(globalThis\.)?(Math\.random|(crypto\.)?(randomUUID|randomBytes|randomInt|getRandomValues))$/
const plainError = /^(Error|TypeError|RangeError|SyntaxError)$/

/** The rule that a node of shipped code breaks, as [rule, what]. */
function shippedFault(node: SyntaxNode, path: string): [string, string] | undefined {
  const callee = node.type === 'CallExpression' || node.type === 'NewExpression' ? nameOf(node['callee']) : ''
  if (!inModule(path, 'kernel')) {
    if (ambientTime.test(callee)) return ['ambient-time', `${callee}(): take a Clock`]
    const argumentCount = Array.isArray(node['arguments']) ? node['arguments'].length : 0
    if (callee === 'Date' && argumentCount === 0) return ['ambient-time', 'new Date(): take a Clock']
    if (ambientRandom.test(callee)) return ['ambient-random', `${callee}(): take a Random`]
    if (timers.test(callee)) return ['ambient-timer', `${callee}(): take a Clock`]
    const source = node.type === 'ImportDeclaration' && isNode(node['source']) ? String(node['source']['value']) : ''
    if (/^(node:)?timers(\/promises)?$/.test(source)) return ['ambient-timer', `import of ${source}: take a Clock`]
  }
  const member = node.type === 'MemberExpression' ? nameOf(node) : ''
  if (/^(globalThis\.)?console\.\w+$/.test(member) && !inModule(path, 'cli'))
    return ['console', `${member}: report on a channel`]
  if (node.type === 'NewExpression' && plainError.test(callee))
    return ['plain-error', `new ${callee}(): throw a MillraceError`]
  return undefined
}

/** What is wrong with a test that is left out, or alone, given the line it stands in and the one before. */
function testFault(node: SyntaxNode, nearby: string): [string, string] | undefined {
  const callee = node['callee']
  // In `it.only.each(rows)(name, body)` the inner call is the one that says `only`.
  if (node.type !== 'CallExpression' || !isNode(callee) || callee.type !== 'MemberExpression') return undefined
  const name = nameOf(callee)
  if (!/^(it|test|describe|suite|bench)\./.test(name)) return undefined
  if (/\.only\b/.test(name)) return ['only', `${name}: the other tests do not run`]
  if (/\.todo\b/.test(name)) return ['todo', `${name}: a test that is not there`]
  const leftOut = /\.(skip|skipIf|runIf|fails)\b/.test(name)
  return leftOut && !/skipped because/i.test(nearby)
    ? ['skip', `${name} without "Skipped because …" beside it`]
    : undefined
}

/** Rules that the syntax of a TypeScript source has to keep. */
export function checkSyntax(path: string, text: string): Finding[] {
  const findings: Finding[] = []
  const bytes = Buffer.from(text)
  const lines = text.split('\n')
  const lineOf = (node: SyntaxNode): number => {
    // Positions count bytes, from 1.
    return bytes
      .subarray(0, Math.max(0, (node.span?.start ?? 1) - 1))
      .toString()
      .split('\n').length
  }
  visit(parseSync(text, { syntax: 'typescript', target: 'es2024' }), (node) => {
    let fault = isShipped(path) ? shippedFault(node, path) : undefined
    if (fault === undefined && isTest(path) && node.type === 'CallExpression') {
      const line = lineOf(node)
      fault = testFault(node, lines.slice(Math.max(0, line - 3), line).join('\n'))
    }
    if (fault !== undefined) findings.push({ rule: fault[0], path, line: lineOf(node), what: fault[1] })
  })
  return findings
}

/** An error class of Millrace as its source states it. */
export interface ErrorClass {
  readonly path: string
  readonly line: number
  readonly name: string
  /** Empty if the source does not fix it as a literal. */
  readonly code: string
  /** The sentence of the comment before the class. */
  readonly meaning: string
}

/** All classes of a source that extend `MillraceError`. */
export function errorClassesOf(path: string, text: string): ErrorClass[] {
  const found: ErrorClass[] = []
  const lines = text.split('\n')
  for (const [index, line] of lines.entries()) {
    const name = /^(?:export )?(?:default )?(?:abstract )?class (\w+)/.exec(line)?.[1]
    if (name === undefined) continue
    const head = lines.slice(index, index + 4).join(' ')
    const parent = /^[^{]*?\bextends MillraceError\b(?:<\s*'([A-Z][A-Z0-9_]*)')?/.exec(head)
    if (parent === null) continue
    const before = lines.slice(0, index).join('\n')
    const comment = /\/\*\*((?:(?!\*\/)[\s\S])*)\*\/\s*$/.exec(before)?.[1] ?? ''
    const words = comment.replace(/^\s*\*? ?/gm, '').split(/\n\s*\n|\n@/)[0] ?? ''
    const meaning = words
      .replace(/\{@link (\w+)\}/g, '`$1`')
      .replace(/\s+/g, ' ')
      .trim()
    found.push({ path, line: index + 1, name, code: parent[1] ?? '', meaning })
  }
  return found
}

/** Error classes without a literal code or a meaning, and codes that two classes claim. */
export function checkErrorClasses(classes: readonly ErrorClass[]): Finding[] {
  const owners = new Map<string, ErrorClass>()
  return classes.flatMap((found) => {
    const { path, line, name, code, meaning } = found
    const fault = (what: string): Finding[] => [{ rule: 'error-code', path, line, what }]
    if (code === '') return fault(`${name} fixes no literal code`)
    const owner = owners.get(code)
    if (owner !== undefined) return fault(`${code} is the code of ${owner.name} in ${owner.path} already`)
    owners.set(code, found)
    return meaning === '' ? fault(`${name} has no comment that says when it is thrown`) : []
  })
}

/** Splits findings into those that stand and the exceptions that excuse nothing, which are findings too. */
export function withoutExceptions(findings: readonly Finding[], exceptions: readonly Exception[]): Finding[] {
  const excuses = (exception: Exception, finding: Finding): boolean =>
    exception.rule === finding.rule && exception.path === finding.path
  const idle = exceptions.filter((exception) => !findings.some((finding) => excuses(exception, finding)))
  return [
    ...findings.filter((finding) => !exceptions.some((exception) => excuses(exception, finding))),
    ...idle.map(({ rule, path }) => ({
      rule: 'idle-exception',
      path,
      line: 1,
      what: `nothing to excuse from ${rule}`,
    })),
  ]
}
