import { parseDuration } from '../duration.ts'
import type { EvtError } from '../errors.ts'
import { failure, type Sign, type Token, tokensOf, type Word } from './lexer.ts'
import { compileRegex } from './regex.ts'
import { type Expression, type Literal, type Operand, type Operator, operators, type Path } from './tree.ts'

/** Parentheses and `not` within each other: deeper ones are refused, so that no input exhausts the stack. */
const depthLimit = 100

/**
 * The tree of an expression. Binds from loose to tight: `or`, `and`, `not`, comparisons. `isField` may refuse a path
 * by returning the reason. Throws EvtError('usage') that points at the character and says what was expected there.
 */
export function parseExpression(text: string, isField: (path: Path) => string | undefined): Expression {
  const tokens = tokensOf(text)
  const parser = createParser(text, tokens, isField)
  const expression = parser.or(0)
  if (parser.next().kind !== 'end') throw parser.expected('and, or, or the end')
  return expression
}

function createParser(text: string, tokens: readonly Token[], isField: (path: Path) => string | undefined) {
  let index = 0
  const next = () => tokens[index] as Token
  const expected = (what: string, hint?: string): EvtError => failure(text, next().at, `expected ${what}`, hint)

  const takeWord = (word: Word): boolean => {
    const token = next()
    const found = token.kind === 'word' && token.word === word
    if (found) index++
    return found
  }
  const takeSign = <S extends Sign>(...wanted: readonly S[]): S | undefined => {
    const token = next()
    const found = token.kind === 'sign' ? wanted.find((sign) => sign === token.sign) : undefined
    if (found !== undefined) index++
    return found
  }

  const joined =
    (kind: 'or' | 'and', term: (depth: number) => Expression) =>
    (depth: number): Expression => {
      const terms = [term(depth)]
      while (takeWord(kind)) terms.push(term(depth))
      return terms.length === 1 ? (terms[0] as Expression) : { kind, terms }
    }

  const not = (depth: number): Expression => {
    if (depth > depthLimit) throw failure(text, next().at, `more than ${depthLimit} levels deep`)
    if (takeWord('not')) return { kind: 'not', term: not(depth + 1) }
    if (takeSign('(') === undefined) return comparison()
    const expression = or(depth + 1)
    if (takeSign(')') === undefined) throw expected('and, or, or )')
    return expression
  }
  const and = joined('and', not)
  const or = joined('or', and)

  const comparison = (): Expression => {
    const start = next()
    const left = operand('a field, a value, not or (')
    const operator = takeSign<Operator>(...operators)
    if (operator !== undefined)
      return { kind: 'compare', operator, left, right: operand(`a field or a value after ${operator}`) }
    if (takeSign('~') !== undefined) return { kind: 'match', left, regex: regex() }
    if (takeWord('in')) return { kind: 'in', negated: false, left, among: among() }
    if (isNotIn()) return { kind: 'in', negated: true, left, among: among() }
    if (left.kind === 'path' || left.kind === 'boolean') return { kind: 'holds', operand: left }
    throw next().kind === 'end' || start.kind === 'end'
      ? expected('a comparison')
      : expected('a comparison such as == or in')
  }

  /** Takes `not in`, or nothing: `a not` alone is an error that the caller reports. */
  const isNotIn = (): boolean => {
    const [first, second] = [tokens[index], tokens[index + 1]]
    const found = first?.kind === 'word' && first.word === 'not' && second?.kind === 'word' && second.word === 'in'
    if (found) index += 2
    return found
  }

  const regex = (): string => {
    const token = next()
    if (token.kind !== 'string') throw expected('a regular expression in quotes after ~')
    compileRegex(token.value, (offset, reason) => failure(text, pointInto(token, offset), reason))
    index++
    return token.value
  }

  /** Offsets fit only where the text holds no escapes; else the whole text is meant. */
  const pointInto = (token: Token & { readonly kind: 'string' }, offset: number): number =>
    token.end - token.at === token.value.length + 2 ? token.at + 1 + offset : token.at

  const among = (): readonly Literal[] | Path => {
    const token = next()
    if (token.kind === 'path') return operand('a list') as Path
    const open = takeSign('(', '[')
    if (open === undefined) throw expected("a list such as ('a', 'b') after in")
    const list: Literal[] = []
    do {
      const value = next()
      const item = operand('a value')
      if (item.kind === 'path')
        throw failure(text, value.at, 'expected a value: a list holds no fields', 'texts stand in quotes')
      list.push(item)
    } while (takeSign(',') !== undefined)
    const close = open === '(' ? ')' : ']'
    if (takeSign(close) === undefined) throw expected(`, or ${close}`)
    return list
  }

  const operand = (what: string): Operand => {
    const token = next()
    switch (token.kind) {
      case 'path': {
        const path: Path = { kind: 'path', segments: token.segments }
        const reason = isField(path)
        if (reason !== undefined) throw failure(text, token.at, reason, 'texts stand in quotes')
        index++
        return path
      }
      case 'string':
      case 'number':
        index++
        return { kind: token.kind, value: token.value } as Literal
      case 'duration':
        index++
        return { kind: 'duration', text: token.text, ms: token.ms }
      case 'word':
        return wordValue(token.word, what)
      default:
        throw expected(what)
    }
  }

  const wordValue = (word: Word, what: string): Literal => {
    if (word !== 'true' && word !== 'false' && word !== 'null' && word !== 'now') throw expected(what)
    index++
    if (word === 'null') return { kind: 'null' }
    if (word !== 'now') return { kind: 'boolean', value: word === 'true' }
    const sign = takeSign('+', '-')
    if (sign === undefined) return { kind: 'now', shift: '', shiftMs: 0 }
    const token = next()
    if (token.kind !== 'duration') throw expected(`a duration after now${sign}`, 'for example now-15m')
    index++
    return { kind: 'now', shift: `${sign}${token.text}`, shiftMs: (sign === '-' ? -1 : 1) * parseDuration(token.text) }
  }

  return { or, next, expected }
}
