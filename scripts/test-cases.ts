/** Which cases a test file has, and whether something keeps one from running, read from its syntax. */
import { parseSync } from '@swc/core'

/** A case of a test file. */
export interface TestCase {
  /** As it stands in the file; what is put in stands as `…`. */
  readonly title: string
  /** Words in the tables from which the case and what stands around it are made, if they are. */
  readonly rows: ReadonlySet<string>
  /** What keeps it from running, other than the switch for real servers; `null`: nothing. */
  readonly skippedBy: string | null
}

type Node = Readonly<Record<string, unknown>>

/** What stands around a case. */
interface Around {
  readonly skippedBy: string | null
  readonly rows: readonly string[]
}

/** Calls that make cases, with what is said of them: `it.skipIf(…).each(…)`. */
interface Chain {
  readonly root: string
  readonly modifiers: readonly { readonly name: string; readonly args: readonly unknown[] }[]
}

const suites: ReadonlySet<string> = new Set(['describe'])
const cases: ReadonlySet<string> = new Set(['it', 'test'])
/** The one condition under which cases may be left out: `npm run test:servers` turns it on. */
const serverSwitch = 'serversWanted'

/**
 * The cases of a test file, by its text.
 *
 * @param imported texts of modules whose constants it imports: tables may stand there
 */
export function testCasesIn(text: string, imported: readonly string[] = []): readonly TestCase[] {
  const parsed = (source: string): unknown => parseSync(source, { syntax: 'typescript', target: 'es2024' })
  const program = parsed(text)
  const constants = new Map([...imported.map(parsed), program].flatMap((one) => [...constantsIn(one)]))
  const found: TestCase[] = []
  const visit = (node: unknown, around: Around): void => {
    if (!isNode(node)) return
    const chain = node['type'] === 'CallExpression' ? chainOf(node['callee']) : undefined
    if (chain === undefined) {
      for (const one of Object.values(node)) visit(one, around)
      return
    }
    const tables = chain.modifiers.filter(({ name }) => name === 'each').flatMap(({ args }) => args)
    const within: Around = {
      skippedBy: around.skippedBy ?? skipIn(chain),
      rows: [...around.rows, ...tables.flatMap((table) => textsIn(table, constants))],
    }
    const args = argumentsOf(node)
    if (cases.has(chain.root)) {
      const title = titleOf(args[0])
      if (title !== undefined) found.push({ title, rows: new Set(within.rows), skippedBy: within.skippedBy })
    }
    visit(args, within)
  }
  visit(program, { skippedBy: null, rows: [] })
  return found
}

function isNode(value: unknown): value is Node {
  return typeof value === 'object' && value !== null
}

function argumentsOf(call: Node): readonly unknown[] {
  return ((call['arguments'] ?? []) as readonly { readonly expression: unknown }[]).map(({ expression }) => expression)
}

function chainOf(callee: unknown): Chain | undefined {
  if (!isNode(callee)) return undefined
  if (callee['type'] === 'Identifier') {
    const root = String(callee['value'])
    return suites.has(root) || cases.has(root) ? { root, modifiers: [] } : undefined
  }
  if (callee['type'] === 'CallExpression') {
    const inner = chainOf(callee['callee'])
    const last = inner?.modifiers.at(-1)
    if (inner === undefined || last === undefined) return undefined
    return { ...inner, modifiers: [...inner.modifiers.slice(0, -1), { ...last, args: argumentsOf(callee) }] }
  }
  if (callee['type'] !== 'MemberExpression') return undefined
  const inner = chainOf(callee['object'])
  if (inner === undefined) return undefined
  const name = String((callee['property'] as Node)['value'])
  return { ...inner, modifiers: [...inner.modifiers, { name, args: [] }] }
}

function skipIn({ root, modifiers }: Chain): string | null {
  const [found] = modifiers.filter(({ name, args }) => {
    if (name === 'skipIf') return !isServerSwitch(args[0])
    return ['skip', 'todo', 'fails', 'runIf'].includes(name)
  })
  return found === undefined ? null : `${root}.${found.name}`
}

function isServerSwitch(condition: unknown): boolean {
  if (!isNode(condition) || condition['type'] !== 'UnaryExpression' || condition['operator'] !== '!') return false
  return (condition['argument'] as Node)['value'] === serverSwitch
}

function titleOf(given: unknown): string | undefined {
  if (!isNode(given)) return undefined
  if (given['type'] === 'StringLiteral') return String(given['value'])
  if (given['type'] !== 'TemplateLiteral') return undefined
  return (given['quasis'] as readonly Node[]).map((part) => String(part['cooked'])).join('…')
}

/** What the constants of a file are made of, by their name. */
function constantsIn(program: unknown): ReadonlyMap<string, unknown> {
  const found = new Map<string, unknown>()
  const visit = (node: unknown): void => {
    if (!isNode(node)) return
    const id = node['type'] === 'VariableDeclarator' ? (node['id'] as Node) : undefined
    if (id?.['type'] === 'Identifier') found.set(String(id['value']), node['init'])
    for (const part of Object.values(node)) visit(part)
  }
  visit(program)
  return found
}

/** All texts in an expression, also in the constants that it names. */
function textsIn(expression: unknown, constants: ReadonlyMap<string, unknown>): readonly string[] {
  const texts: string[] = []
  const seen = new Set<string>()
  const visit = (node: unknown): void => {
    if (!isNode(node)) return
    if (node['type'] === 'StringLiteral') texts.push(String(node['value']))
    const name = node['type'] === 'Identifier' ? String(node['value']) : undefined
    if (name !== undefined && constants.has(name) && !seen.has(name)) {
      seen.add(name)
      visit(constants.get(name))
    }
    for (const part of Object.values(node)) visit(part)
  }
  visit(expression)
  return texts
}
