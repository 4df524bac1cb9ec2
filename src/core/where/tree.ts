/** The operators of a comparison, longest first, so that a reader may take the first that fits. */
export const operators = ['==', '!=', '<=', '>=', '<', '>'] as const
export type Operator = (typeof operators)[number]

export interface Path {
  readonly kind: 'path'
  /** At least one; array indexes as text. */
  readonly segments: readonly string[]
}

export type Literal =
  | { readonly kind: 'string'; readonly value: string }
  | { readonly kind: 'number'; readonly value: number }
  | { readonly kind: 'boolean'; readonly value: boolean }
  | { readonly kind: 'null' }
  | { readonly kind: 'duration'; readonly text: string; readonly ms: number }
  /** `now`, `now-15m`: `shift` is the text after `now`. */
  | { readonly kind: 'now'; readonly shift: string; readonly shiftMs: number }

export type Operand = Path | Literal

export type Expression =
  | { readonly kind: 'or' | 'and'; readonly terms: readonly Expression[] }
  | { readonly kind: 'not'; readonly term: Expression }
  | { readonly kind: 'compare'; readonly operator: Operator; readonly left: Operand; readonly right: Operand }
  | { readonly kind: 'match'; readonly left: Operand; readonly regex: string }
  | {
      readonly kind: 'in'
      readonly negated: boolean
      readonly left: Operand
      readonly among: readonly Literal[] | Path
    }
  /** A field or `true`/`false` on its own. */
  | { readonly kind: 'holds'; readonly operand: Operand }

/** A field name that needs no quotes after a dot; the first of a path must not start with a digit or hold a hyphen. */
export const bareSegment = /[\p{L}\p{N}_$][\p{L}\p{N}_$-]*/uy

/** The text of a tree; parsing it gives the same tree. */
export function printExpression(expression: Expression): string {
  switch (expression.kind) {
    case 'or':
    case 'and':
      return expression.terms.map(inner).join(` ${expression.kind} `)
    case 'not':
      return `not ${inner(expression.term)}`
    case 'compare':
      return `${printOperand(expression.left)} ${expression.operator} ${printOperand(expression.right)}`
    case 'match':
      return `${printOperand(expression.left)} ~ ${quoted(expression.regex)}`
    case 'in':
      return `${printOperand(expression.left)} ${expression.negated ? 'not in' : 'in'} ${printAmong(expression.among)}`
    case 'holds':
      return printOperand(expression.operand)
  }
}

function inner(expression: Expression): string {
  const text = printExpression(expression)
  return expression.kind === 'or' || expression.kind === 'and' ? `(${text})` : text
}

function printAmong(among: readonly Literal[] | Path): string {
  return 'kind' in among ? printPath(among) : `(${among.map(printOperand).join(', ')})`
}

function printOperand(operand: Operand): string {
  switch (operand.kind) {
    case 'path':
      return printPath(operand)
    case 'string':
      return quoted(operand.value)
    case 'null':
      return 'null'
    case 'duration':
      return operand.text
    case 'now':
      return `now${operand.shift}`
    default:
      return String(operand.value)
  }
}

function printPath({ segments }: Path): string {
  const [root = '', ...rest] = segments
  return root + rest.map((segment) => `.${isBare(segment) ? segment : quoted(segment)}`).join('')
}

function isBare(segment: string): boolean {
  bareSegment.lastIndex = 0
  return bareSegment.exec(segment)?.[0] === segment
}

function quoted(text: string): string {
  return `'${text.replace(/[\\']/g, '\\$&')}'`
}
