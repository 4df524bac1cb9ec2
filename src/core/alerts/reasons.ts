import { compileExpression, type Test } from '../where/compile.ts'
import type { Expression, Operand, Path } from '../where/tree.ts'

/** The fields by which an expression is true of a subject: of alternatives, those of the first that is. For a subject of which it is true. */
export type Reasons = (subject: unknown) => readonly Path[]

export function reasonsOf(expression: Expression, nowMs: number): Reasons {
  if (expression.kind === 'or') return firstOf(expression.terms.map((term) => alternative(term, nowMs)))
  if (expression.kind !== 'and') {
    const paths = pathsOf(expression)
    return () => paths
  }
  const terms = expression.terms.map((term) => reasonsOf(term, nowMs))
  return (subject) => terms.flatMap((term) => term(subject))
}

interface Alternative {
  readonly test: Test
  readonly reasons: Reasons
}

const alternative = (term: Expression, nowMs: number): Alternative => ({
  test: compileExpression(term, nowMs),
  reasons: reasonsOf(term, nowMs),
})

const firstOf =
  (alternatives: readonly Alternative[]): Reasons =>
  (subject) =>
    alternatives.find(({ test }) => test(subject))?.reasons(subject) ?? []

function pathsOf(expression: Expression): readonly Path[] {
  switch (expression.kind) {
    case 'or':
    case 'and':
      return expression.terms.flatMap(pathsOf)
    case 'not':
      return pathsOf(expression.term)
    case 'compare':
      return [expression.left, expression.right].filter(isPath)
    case 'match':
      return [expression.left].filter(isPath)
    case 'in':
      return [expression.left, ...('kind' in expression.among ? [expression.among] : [])].filter(isPath)
    case 'holds':
      return [expression.operand].filter(isPath)
  }
}

const isPath = (operand: Operand): operand is Path => operand.kind === 'path'
