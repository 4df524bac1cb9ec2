// What ioredis and Redis throw, as EvtError: here and nowhere else.
import { EvtError, toError } from '../../core/errors.ts'
import { whatAnswers } from '../what-answers.ts'
import { type RedisPlace, translationOf } from './translations.ts'

export type { RedisPlace } from './translations.ts'

/**
 * What the driver threw, as EvtError: `cannot <verb>: <reason>`. What is unknown keeps its words, with code `internal`. Never throws.
 *
 * @param verb with its object: `read user.events`; default `use <URL>`
 */
export function translateError(thrown: unknown, place: RedisPlace, verb = `use ${place.url}`): EvtError {
  const error = rootOf(thrown)
  if (error instanceof EvtError) return error
  const failure = { error, place, ...commandOf(error) }
  const found = translationOf(error)
  if (found === undefined) return new EvtError('internal', `cannot ${verb}: ${error.message}`, { cause: error })
  return new EvtError(found.code, `cannot ${verb}: ${found.reason(failure)}`, {
    hint: found.hint(failure),
    cause: error,
  })
}

/** It passes by itself: the server is away, loading, full or failing over. Of errors translated or not. */
export function isOutage(thrown: unknown): boolean {
  const error = rootOf(thrown)
  if (!(error instanceof EvtError)) return translationOf(error)?.passes === true
  if (error.cause === undefined) return error.code === 'connect' || error.code === 'timeout'
  return translationOf(rootOf(error.cause))?.passes === true
}

/** By Redis's own word: `WRONGTYPE`, `NOGROUP`; of errors translated or not. */
export function isReply(thrown: unknown, prefix: string): boolean {
  const error = rootOf(thrown)
  const reply = error instanceof EvtError && error.cause !== undefined ? toError(error.cause) : error
  // A script's errors may carry it behind a word of their own.
  return reply.message.startsWith(`${prefix} `) || reply.message.includes(` ${prefix} `)
}

/** For WRONGTYPE, which does not say what the key is: asks. Anything else, and what cannot be asked, is translated as it is. */
export async function explainWrongType(
  thrown: unknown,
  place: RedisPlace,
  key: string,
  typeOf: (key: string) => Promise<string>,
): Promise<EvtError> {
  const error = translateError(thrown, place, `use ${key}`)
  if (!isReply(thrown, 'WRONGTYPE')) return error
  const type = await typeOf(key).catch(() => undefined)
  if (type === undefined || type === 'none' || type === 'stream') return error
  return new EvtError('usage', `cannot use ${key}: it is a ${type}, not a stream`, {
    hint: `name another stream, or rename that key: RENAME ${key} ${key}:old`,
    cause: thrown,
  })
}

/** Answers that are the last word: nothing else can be there. */
const certain = new Set(['ECONNREFUSED', 'ENOTFOUND', 'EAI_AGAIN', 'EHOSTUNREACH', 'ENETUNREACH'])

/** For a connection that came to nothing: asks what else it is that answers there. Takes a second at most. */
export async function explainNoConnection(thrown: unknown, place: RedisPlace): Promise<EvtError> {
  const error = translateError(thrown, place)
  const root = rootOf(thrown)
  const isReplyOfRedis = /^(NOAUTH|WRONGPASS|NOPERM|LOADING|CLUSTERDOWN|ERR) /.test(root.message)
  if (isReplyOfRedis || certain.has(String((root as { code?: unknown }).code))) return error
  const [, host = '', port = ''] = /^(.*):(\d+)$/.exec(place.host) ?? []
  const found = await whatAnswers(host.replace(/^\[|\]$/g, ''), Number(port))
  const wantsTls = /^rediss:/i.test(place.url)
  if (found === undefined || found === (wantsTls ? 'TLS' : 'Redis')) return error
  return new EvtError('connect', `cannot use ${place.url}: at ${place.host}, ${likeness(found)}`, {
    hint:
      found === 'TLS'
        ? 'for TLS, write rediss://'
        : found === 'Redis'
          ? 'without TLS, write redis://'
          : 'check the port',
    cause: thrown,
  })
}

function likeness(found: string): string {
  if (found === 'TLS') return 'it wants TLS'
  return found === 'Redis' ? 'it looks like Redis without TLS' : `it looks like ${found}`
}

/** A cluster and a host with several addresses wrap what happened to the last or first of them. */
function rootOf(thrown: unknown): Error {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return toError(thrown.errors[0])
  const last = (thrown as { lastNodeError?: unknown } | null | undefined)?.lastNodeError
  return toError(last instanceof Error ? last : thrown)
}

const firstKeyAfter: Readonly<Record<string, string>> = { XREAD: 'STREAMS', XREADGROUP: 'STREAMS' }
const keySecond = new Set(['XGROUP', 'XINFO', 'OBJECT', 'MEMORY'])
const keyThird = new Set(['EVAL', 'EVALSHA', 'FCALL'])

function commandOf(error: Error): { readonly command: string; readonly key: string } {
  const { name, args } = (error as { command?: { name?: unknown; args?: unknown } }).command ?? {}
  if (typeof name !== 'string' || !Array.isArray(args)) return { command: '', key: '' }
  const command = name.toUpperCase()
  const words = args.map((arg) => (Buffer.isBuffer(arg) ? arg.toString() : String(arg)))
  const marker = firstKeyAfter[command]
  const markerAt = words.findIndex((word) => word.toUpperCase() === marker)
  const at = marker !== undefined ? markerAt + 1 : keyThird.has(command) ? 2 : keySecond.has(command) ? 1 : 0
  return { command: keySecond.has(command) ? `${command} ${words[0]}` : command, key: words[at] ?? '' }
}
