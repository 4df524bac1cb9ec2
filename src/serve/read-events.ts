import { isUtf8 } from 'node:buffer'
import type { Headers } from '../core/codec/headers.ts'
import { fromCloudEvent, fromHeaders } from '../core/codec.ts'
import { EvtError, toError } from '../core/errors.ts'
import { formatJson, mayLoseDigits, parseExactly } from '../core/json-text.ts'
import { formatCount } from '../core/quantity.ts'
import { inheritedKey, mayInherit } from './inherited-key.ts'
import { isObject, newEventOf, usable } from './new-event.ts'
import type { Candidate } from './ports.ts'
import { HttpProblem } from './problem.ts'

/** In one request. */
const mostEvents = 10_000

/**
 * The events of a request: one of evt's own shape or a list of them, or CloudEvents, structured, as a batch or binary (`ce-` headers and
 * the data as body). An event that cannot be read is a candidate with its error. Throws HttpProblem for a request that holds none.
 */
export function readEvents(headers: Headers, body: Buffer, nowMs: number): readonly Candidate[] {
  const contentType = (headers['content-type'] ?? '').toLowerCase()
  const time = new Date(nowMs).toISOString()
  if (headers['content-encoding'] !== undefined && headers['content-encoding'] !== 'identity')
    throw new HttpProblem({ status: 415, title: 'content-encoding is not supported', hint: 'send the body as it is' })
  if (headers['ce-specversion'] !== undefined && !contentType.startsWith('application/cloudevents'))
    return [binary(headers, body, time)]
  if (!/^application\/(?:json|cloudevents(?:-batch)?\+json)\s*(?:;|$)/.test(contentType))
    throw new HttpProblem({
      status: 415,
      title: 'content-type is not one that holds events',
      hint: 'application/json, application/cloudevents+json, application/cloudevents-batch+json, or ce- headers',
    })
  const isBatch = contentType.startsWith('application/cloudevents-batch')
  return structured(body, { time, isBatch, isCloudEvents: contentType.startsWith('application/cloudevents') })
}

interface Shape {
  /** Of events that have none. */
  readonly time: string
  readonly isCloudEvents: boolean
  /** Then it is a list. */
  readonly isBatch: boolean
}

function structured(body: Buffer, shape: Shape): readonly Candidate[] {
  const text = textOf(body)
  const json = parsed(text)
  const isSingle = !Array.isArray(json)
  if (shape.isBatch && isSingle)
    throw new HttpProblem({
      status: 400,
      title: 'the body is no list, as application/cloudevents-batch+json says',
      hint: 'send [ … ], or one event as application/cloudevents+json',
    })
  const list: readonly unknown[] = isSingle ? [json] : json
  if (list.length === 0) throw new HttpProblem({ status: 400, title: 'the list holds no event' })
  if (list.length > mostEvents)
    throw new HttpProblem({ status: 413, title: `more than ${formatCount(mostEvents)} events in one request` })
  const exact = mayLoseDigits(text) ? parseExactly(text) : undefined
  const exactList = exact === undefined ? undefined : isSingle ? [exact] : (exact as readonly unknown[])
  const isSuspect = mayInherit(text)
  return list.map((one, i) => candidateOf(one, { ...shape, isSuspect, exact: exactList?.[i] }))
}

function candidateOf(one: unknown, given: Shape & { readonly isSuspect: boolean; readonly exact: unknown }): Candidate {
  try {
    if (!isObject(one)) throw new EvtError('decode', 'cannot accept event: it is no JSON object')
    const found = given.isSuspect ? inheritedKey(one) : undefined
    if (found !== undefined) throw new EvtError('contract', `cannot accept event: it has a key ${found}`)
    const isCloudEvent = given.isCloudEvents || typeof one.specversion === 'string'
    const event = usable(isCloudEvent ? fromCloudEvent(one, { time: given.time }) : newEventOf(one))
    const { exact } = given
    const dataText = isObject(exact) && exact.data !== undefined ? formatJson(exact.data) : undefined
    return { event, dataText }
  } catch (thrown) {
    const id = isObject(one) && typeof one.id === 'string' ? one.id.slice(0, 255) : undefined
    return { id, error: errorOf(thrown) }
  }
}

function binary(headers: Headers, body: Buffer, time: string): Candidate {
  const id = headers['ce-id']?.slice(0, 255)
  try {
    const event = usable(fromHeaders(headers, body, { time }))
    const isText = typeof event.metadata?.datacontenttype === 'string'
    const text = isText || !isUtf8(body) ? undefined : body.toString()
    const found = inheritedKey(event.data)
    if (found !== undefined) throw new EvtError('contract', `cannot accept event: it has a key ${found}`)
    return { event, dataText: text }
  } catch (thrown) {
    return { id, error: errorOf(thrown) }
  }
}

function textOf(body: Buffer): string {
  if (!isUtf8(body)) throw new HttpProblem({ status: 400, title: 'the body is no UTF-8' })
  const text = body.toString()
  return text.startsWith('\ufeff') ? text.slice(1) : text
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    // The parser's own message holds a piece of the body.
    throw new HttpProblem({
      status: 400,
      title: 'the body is no JSON',
      hint: 'such as {"type":"user.created","data":{}}',
    })
  }
}

const errorOf = (thrown: unknown): EvtError =>
  thrown instanceof EvtError ? thrown : new EvtError('decode', `cannot accept event: ${toError(thrown).message}`)
