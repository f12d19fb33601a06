/**
 * Teaches the syntax walker of `@swc/core`, which dependency-cruiser walks sources with, the `using` declaration: it knows
 * every statement but this one and throws. What is imported in its initialiser, if anything, is found like elsewhere.
 * @module
 */
import type { Statement, VariableDeclarator } from '@swc/core'
import { Visitor } from '@swc/core/Visitor.js'

interface UsingDeclaration {
  readonly type: 'UsingDeclaration'
  readonly decls: VariableDeclarator[]
}

/** Call it before the first walk. */
export function teachUsingDeclarations(): void {
  const { visitStatement } = Visitor.prototype
  Visitor.prototype.visitStatement = function (statement: Statement): Statement {
    const given: Statement | UsingDeclaration = statement as Statement | UsingDeclaration
    if (given.type !== 'UsingDeclaration') return visitStatement.call(this, statement)
    this.visitVariableDeclarators(given.decls)
    return statement
  }
}
