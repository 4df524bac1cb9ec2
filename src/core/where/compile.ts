import { EvtError } from '../errors.ts'
import { compileRegex } from './regex.ts'
import type { Expression, Literal, Operand, Operator } from './tree.ts'
import { compareValues, literalValue, type Read, readerOf } from './value.ts'

export type Test = (subject: unknown) => boolean

/** A tree as one closure; nothing is evaluated as JavaScript. */
export function compileExpression(expression: Expression, nowMs: number): Test {
  switch (expression.kind) {
    case 'or':
      return anyOf(expression.terms.map((term) => compileExpression(term, nowMs)))
    case 'and':
      return allOf(expression.terms.map((term) => compileExpression(term, nowMs)))
    case 'not': {
      const term = compileExpression(expression.term, nowMs)
      return (subject) => !term(subject)
    }
    case 'compare':
      return comparison(expression.operator, expression.left, expression.right, nowMs)
    case 'match':
      return matching(readerOf(expression.left, nowMs), expression.regex)
    case 'in': {
      const { negated, left, among } = expression
      const read = readerOf(left, nowMs)
      return 'kind' in among ? inField(read, readerOf(among, nowMs), negated) : inList(read, among, negated, nowMs)
    }
    case 'holds': {
      const read = readerOf(expression.operand, nowMs)
      return (subject) => read(subject) === true
    }
  }
}

function anyOf(terms: readonly Test[]): Test {
  return (subject) => terms.some((term) => term(subject))
}

function allOf(terms: readonly Test[]): Test {
  return (subject) => terms.every((term) => term(subject))
}

function comparison(operator: Operator, left: Operand, right: Operand, nowMs: number): Test {
  const readLeft = readerOf(left, nowMs)
  const readRight = readerOf(right, nowMs)
  // Only a null that is written asks whether something is there.
  if (left.kind === 'null' || right.kind === 'null') {
    const read = right.kind === 'null' ? readLeft : readRight
    if (operator === '==') return (subject) => read(subject) === undefined
    if (operator === '!=') return (subject) => read(subject) !== undefined
  }
  return (subject) => compareValues(operator, readLeft(subject), readRight(subject))
}

function matching(read: Read, source: string): Test {
  const regex = compileRegex(source, defect)
  return (subject) => {
    const text = read(subject)
    return typeof text === 'string' && regex.test(text)
  }
}

/** The parser has compiled it before. */
function defect(offset: number, reason: string): EvtError {
  return new EvtError('internal', `cannot compile a regular expression that was read: ${reason} at ${offset}`)
}

function inList(read: Read, among: readonly Literal[], negated: boolean, nowMs: number): Test {
  const withNull = among.some((literal) => literal.kind === 'null')
  const values = among.filter((literal) => literal.kind !== 'null').map((literal) => literalValue(literal, nowMs))
  return (subject) => {
    const value = read(subject)
    if (value === undefined) return withNull && !negated
    return values.some((candidate) => compareValues('==', value, candidate)) !== negated
  }
}

function inField(read: Read, readList: Read, negated: boolean): Test {
  return (subject) => {
    const value = read(subject)
    const list = readList(subject)
    if (value === undefined || !Array.isArray(list)) return false
    return list.some((candidate: unknown) => compareValues('==', value, candidate ?? undefined)) !== negated
  }
}
