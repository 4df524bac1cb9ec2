import { EvtError } from '../core/errors.ts'
import { parseInstant } from '../core/instant.ts'
import { compilePatterns, type Pattern, patternAlternatives } from '../core/pattern.ts'
import { compileWhere, eventFields, type Where } from '../core/where.ts'
import type { LogEntry } from '../store/log.ts'
import type { EventPorts } from './ports.ts'
import { HttpProblem } from './problem.ts'
import type { Access } from './token-cache.ts'

/** What a stream is asked for. */
export interface StreamQuery {
  readonly pattern: Pattern
  readonly where: Where | undefined
  /** The last position that the reader has. */
  readonly after: bigint
  /** The first page, which was looked at so that what is gone is known before anything is answered. */
  readonly first: readonly LogEntry[]
}

export interface GivenQuery {
  readonly query: Readonly<Record<string, unknown>>
  readonly lastEventId: string | undefined
  readonly access: Access
  readonly nowMs: number
}

/** Of the first page. */
const firstPage = 100
const known = ['pattern', 'where', 'since']

/** Throws HttpProblem: 400 for what cannot be read, 403 for types that the token has not, 410 for a place that is gone. */
export async function readStreamQuery(given: GivenQuery, log: EventPorts['log']): Promise<StreamQuery> {
  const { query, access, nowMs } = given
  const odd = Object.keys(query).find((name) => !known.includes(name))
  if (odd !== undefined) throw bad('there are only the parameters pattern, where and since')
  const empty = known.find((name) => [query[name]].flat().includes(''))
  if (empty !== undefined) throw bad(`the parameter ${empty} is empty`, 'leave it out, or say what it is')
  const named = listOf(query.pattern)
  const patterns = named.length > 0 ? named : ['*']
  const pattern = asked(() => compilePatterns(patterns))
  if (!canMeet(pattern, patterns, access))
    throw new HttpProblem({ status: 403, title: `this token is for ${access.types.join(' ')}` })
  const [text] = listOf(query.where)
  const where = text === undefined ? undefined : asked(() => compileWhere(text, { nowMs, fields: eventFields }))
  const isResumed = given.lastEventId !== undefined && given.lastEventId !== ''
  const after = isResumed
    ? positionOf(given.lastEventId)
    : await startOf(listOf(query.since)[0] ?? 'now', { log, nowMs })
  const head = await log.head()
  if (after > head) throw gone(`position ${after} is beyond the end of this log, ${head}: it is of another store`)
  const first = await log.read(after, firstPage)
  if (isResumed && first[0] && first[0].position > after + 1n)
    throw gone(
      `what came after position ${after} is gone by retention; the log goes on after ${first[0].position - 1n}`,
    )
  // Nothing is left of it, not even the places.
  if (isResumed && first.length === 0 && head > after && (await log.start()) > after)
    throw gone(`what came after position ${after} is gone by retention`)
  return { pattern, where, after, first }
}

/** A stream that can never say anything would be waited for. */
function canMeet({ types }: Pattern, patterns: readonly string[], access: Access): boolean {
  if (types) return types.some((type) => access.mayType(type))
  const beginnings = (texts: readonly string[]) =>
    texts.flatMap(patternAlternatives).map((alternative) => alternative.split('*')[0] ?? '')
  const own = beginnings(access.types)
  return beginnings(patterns).some((one) => own.some((other) => one.startsWith(other) || other.startsWith(one)))
}

async function startOf(text: string, { log, nowMs }: { log: EventPorts['log']; nowMs: number }): Promise<bigint> {
  const since = asked(() => parseInstant(text, nowMs))
  if (since === 'now') return log.head()
  if (since === 'start') return log.start()
  if ('timeMs' in since) return log.positionAt(since.timeMs)
  const first = positionOf(since.position)
  return first > 0n ? first - 1n : 0n
}

function positionOf(text: string | undefined): bigint {
  if (text !== undefined && /^\d{1,18}$/.test(text)) return BigInt(text)
  throw bad('a place in this stream is the id of an event of it: a whole number')
}

function listOf(value: unknown): readonly string[] {
  return [value].flat().filter((one): one is string => typeof one === 'string')
}

function asked<T>(read: () => T): T {
  try {
    return read()
  } catch (error) {
    if (!(error instanceof EvtError)) throw error
    throw bad(error.message, error.hint)
  }
}

const bad = (title: string, hint?: string) => new HttpProblem({ status: 400, title, hint })
const gone = (title: string) =>
  new HttpProblem({ status: 410, title, hint: 'begin again with since=start, or with a time, without Last-Event-ID' })
