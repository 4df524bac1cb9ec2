import { suggestion } from './suggest.ts'
import { compileExpression } from './where/compile.ts'
import { parseExpression } from './where/parser.ts'
import type { Path } from './where/tree.ts'

/** A compiled filter. */
export interface Where {
  readonly text: string
  /** `subject` is an object: the event's fields beside `evt` and `data`, or whatever else is filtered. Never throws. */
  test(subject: unknown): boolean
}

export interface WhereOptions {
  /** What `now` and ages refer to. */
  readonly nowMs: number
  /** The first names that a path may have; any, when absent. */
  readonly fields?: readonly string[]
}

/** The first names of paths into an event as `evt tail` filters it, in memory and on the wire. */
export const eventFields: readonly string[] = [
  ...['id', 'type', 'version', 'source', 'time', 'subject', 'sequence', 'tenant', 'correlationId', 'causationId'],
  ...['traceparent', 'actor', 'priority', 'metadata', 'data', 'checksum', 'evt'],
  ...['evtversion', 'correlationid', 'causationid', 'userid', 'sessionid'],
]

/**
 * Compiles an expression of the language that `whereHelp` describes. It is read once and never evaluated as JavaScript;
 * testing takes time in proportion to the expression and the texts that it looks at, regular expressions included.
 * Throws EvtError('usage') with the line of the expression, a caret below the character, and what was expected there.
 */
export function compileWhere(text: string, { nowMs, fields }: WhereOptions): Where {
  const test = compileExpression(parseExpression(text, fieldCheck(fields)), nowMs)
  return { text, test }
}

function fieldCheck(fields: readonly string[] | undefined): (path: Path) => string | undefined {
  if (fields === undefined) return () => undefined
  return ({ segments: [root = ''] }) => {
    if (fields.includes(root)) return undefined
    const meant = suggestion(root, fields) ?? `there are ${fields.join(', ')}`
    return `there is no field ${root}: ${meant}`
  }
}

/** What `evt help where` prints: the language and the whole of its semantics. */
export const whereHelp = `An expression is tested against each event.

  fields        type   subject   sequence   actor.userId   data.user.plan   evt.topic
                data."odd name"   data['odd name']   data.items[0].sku   data.items.length
  values        'text' or "text"   12   -0.5   1e6   true   false   null   15m   now   now-15m
  comparisons   ==   !=   <   <=   >   >=   ~ 'regular expression'
  lists         type in ('user.created', 'user.deleted')   plan not in ['free']   'vip' in data.tags
  logic         not, and, or (from tight to loose), parentheses; words in upper or lower case

  field is missing or null    field == null is true, field != null is false; every other comparison is false,
                              != and not in as well: not (data.plan == 'free') also finds events without a plan
  text and text               by characters; when both are RFC 3339 times, by time: time >= '2025-08-23'
  number and number           by value; a text is never equal to a number: '5' != 5
  true, false                 == and != only; a field alone is true when it holds the value true
  object or list              is equal to nothing; look into it, or use in
  other kinds                 == and orderings are false, != is true
  time and now-15m            by time: time > now-15m is the last fifteen minutes
  time and 2h                 by age: time < 2h is younger than two hours, time > 2h is older
  number and 2h               as milliseconds: data.tookMs > 2s; against now, as milliseconds since 1970
  ~                           finds the regular expression anywhere in a text (^ and $ anchor it, a leading (?i) ignores
                              case); false for anything but a text; no back-references, no look-around

In a text, \\n \\r \\t \\\\ \\' and \\" are one character; any other backslash stays, so '\\d+' is a regular expression.`
