/**
 * Teaches the syntax walker of `@swc/core`, which dependency-cruiser walks sources with, the `using` declaration: it knows
 * every statement but this one and throws. What is imported in its initialiser, if anything, is found like elsewhere.
 * @module
 */
import type { Statement, VariableDeclarator } from '@swc/core'
// oxlint-disable-next-line typescript/no-deprecated -- dependency-cruiser walks with this class, so this one must learn it.
import { Visitor } from '@swc/core/Visitor.js'

interface UsingDeclaration {
  readonly type: 'UsingDeclaration'
  readonly decls: VariableDeclarator[]
}

interface Walker {
  visitStatement(statement: Statement | UsingDeclaration): Statement | UsingDeclaration
  visitVariableDeclarators(declarators: VariableDeclarator[]): VariableDeclarator[]
}

/** Call it before the first walk. */
export function teachUsingDeclarations(): void {
  // oxlint-disable-next-line typescript/no-deprecated -- see above
  const walker: Walker = Visitor.prototype
  // oxlint-disable-next-line typescript/unbound-method -- it is called with the walker at hand.
  const known = walker.visitStatement
  walker.visitStatement = function (statement) {
    if (statement.type !== 'UsingDeclaration') return known.call(this, statement)
    this.visitVariableDeclarators(statement.decls)
    return statement
  }
}
