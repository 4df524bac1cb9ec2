import { timeMsOf, toUtcTime } from '../instant.ts'
import type { Literal, Operand, Operator, Path } from './tree.ts'

/** Finds an operand's value in a subject: undefined when it is missing or null. */
export type Read = (subject: unknown) => unknown

/** A moment on the clock, from `now-15m`. */
export class Moment {
  readonly ms: number
  constructor(ms: number) {
    this.ms = ms
  }
}

/** A length of time, from `2h`. */
export class Span {
  readonly ms: number
  readonly nowMs: number
  constructor(ms: number, nowMs: number) {
    this.ms = ms
    this.nowMs = nowMs
  }
}

/** Names as they stand on the wire (`codec.ts`), so that a field can be copied from what `evt tail` printed. */
const wireNames: Readonly<Record<string, readonly string[]>> = {
  evtversion: ['version'],
  correlationid: ['correlationId'],
  causationid: ['causationId'],
  userid: ['actor', 'userId'],
  sessionid: ['actor', 'sessionId'],
}

export function readerOf(operand: Operand, nowMs: number): Read {
  if (operand.kind === 'path') return pathReader(operand)
  const value = literalValue(operand, nowMs)
  return () => value
}

export function literalValue(literal: Literal, nowMs: number): unknown {
  switch (literal.kind) {
    case 'null':
      return undefined
    case 'now':
      return new Moment(nowMs + literal.shiftMs)
    case 'duration':
      return new Span(literal.ms, nowMs)
    default:
      return literal.value
  }
}

/** The table of semantics stands in `where.ts`. */
export function compareValues(operator: Operator, left: unknown, right: unknown): boolean {
  if (left === undefined || right === undefined) return false
  if (right instanceof Moment || right instanceof Span) return ordered(operator, scaleTo(right, left), right.ms)
  if (left instanceof Moment || left instanceof Span) return ordered(operator, left.ms, scaleTo(left, right))
  if (typeof left === 'string' && typeof right === 'string') return compareTexts(operator, left, right)
  if (isNumeric(left) && isNumeric(right)) return ordered(operator, left, right)
  if (operator === '==') return left === right
  return operator === '!=' && left !== right
}

/** Own properties only: `data.constructor` is missing unless somebody sent it. */
function pathReader({ segments: written }: Path): Read {
  const [root = '', ...below] = written
  const wire = Object.hasOwn(wireNames, root) ? wireNames[root] : undefined
  const read = follow(written)
  if (wire === undefined) return read
  const readWire = follow([...wire, ...below])
  return (subject) => read(subject) ?? readWire(subject)
}

function follow(segments: readonly string[]): Read {
  return (subject) => {
    try {
      let value = subject
      for (const segment of segments) {
        if (typeof value !== 'object' || value === null || !Object.hasOwn(value, segment)) return undefined
        value = (value as Readonly<Record<string, unknown>>)[segment]
      }
      return value instanceof Date ? value.toISOString() : (value ?? undefined)
    } catch {
      // `data` is parsed when it is first read: a body that is no JSON has no fields.
      return undefined
    }
  }
}

/** The other side as milliseconds on the literal's scale: its time, or against a span its age; NaN when it has none. */
function scaleTo(literal: Moment | Span, other: unknown): number {
  if (other instanceof Moment) return literal instanceof Moment ? other.ms : literal.nowMs - other.ms
  if (other instanceof Span) return literal instanceof Span ? other.ms : other.nowMs - other.ms
  if (isNumeric(other)) return Number(other)
  const timeMs = typeof other === 'string' ? timeMsOf(other) : undefined
  if (timeMs === undefined) return Number.NaN
  return literal instanceof Span ? literal.nowMs - timeMs : timeMs
}

function compareTexts(operator: Operator, left: string, right: string): boolean {
  const leftTime = left === right ? undefined : sortableTime(left)
  const rightTime = leftTime === undefined ? undefined : sortableTime(right)
  return rightTime === undefined ? ordered(operator, left, right) : ordered(operator, leftTime, rightTime)
}

/** RFC 3339 in a form whose text order is the order of time; undefined for other texts. */
function sortableTime(text: string): string | undefined {
  if (text[4] !== '-' || text[7] !== '-') return undefined
  const utc = toUtcTime(text.length === 10 ? `${text}T00:00:00Z` : text)
  return utc?.replace(/0*Z$/, '')
}

/** False for NaN on either side, also for `!=`. */
function ordered<T extends string | number | bigint | undefined>(operator: Operator, left: T, right: T): boolean {
  if (left === undefined || right === undefined || Number.isNaN(left) || Number.isNaN(right)) return false
  switch (operator) {
    case '==':
      return equal(left, right)
    case '!=':
      return !equal(left, right)
    case '<':
      return left < right
    case '<=':
      return left <= right
    case '>':
      return left > right
    case '>=':
      return left >= right
  }
}

/** A position is a bigint, and 5n === 5 is false. */
function equal(left: string | number | bigint, right: string | number | bigint): boolean {
  return left <= right && left >= right
}

function isNumeric(value: unknown): value is number | bigint {
  return typeof value === 'number' || typeof value === 'bigint'
}
