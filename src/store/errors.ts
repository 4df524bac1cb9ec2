// Room store: PostgreSQL as the event store. `pg` is imported here and in transports/postgres only; knows SQL and core,
// may not know handlers, transports or commands. This file translates what the driver throws, once.
import { type ErrorCode, EvtError, toError } from '../core/errors.ts'

/** Where a connection goes, as it may be printed: never with a password. */
export interface Place {
  readonly url: string
  readonly host: string
  readonly database: string
  readonly user: string
}

interface Translation {
  readonly code: ErrorCode
  readonly reason: (place: Place, error: Error) => string
  readonly hint: (place: Place) => string
}

const unreachable = (reason: string): Translation => ({
  code: 'connect',
  reason: (place) => `${reason} (${place.host})`,
  hint: () => 'check that PostgreSQL runs there; without a configuration, `evt up` starts one',
})

const gone: Translation = {
  code: 'connect',
  reason: (_, error) => `the connection was lost: ${error.message}`,
  hint: () => 'PostgreSQL was restarted or the network failed; evt reconnects by itself where it runs',
}

const missing: Translation = {
  code: 'migrations',
  reason: (_, error) => error.message,
  hint: () => 'run `evt migrate up`',
}

const denied: Translation = {
  code: 'connect',
  reason: (place, error) => `${place.user} may not: ${error.message}`,
  hint: () =>
    'grant the role evt_publisher, evt_reader or evt_operator to this user (`evt migrate up --dry-run` shows them)',
}

const tooLate = (reason: string): Translation => ({
  code: 'timeout',
  reason: () => reason,
  hint: () => 'something else holds the row or table; `select * from pg_stat_activity` shows who',
})

const password: Translation = {
  code: 'connect',
  reason: (place) => `the server at ${place.host} refuses user ${place.user}`,
  hint: () => 'check user and password in the URL, and pg_hba.conf on the server',
}

const noPassword: Translation = {
  code: 'connect',
  reason: (place) => `the server at ${place.host} wants a password for user ${place.user}, and the URL has none`,
  hint: () => 'write it into the URL (postgres://user:password@host/database), or set PGPASSWORD',
}

/** By SQLSTATE, or by the code of Node's socket errors. */
const byCode: Readonly<Record<string, Translation>> = {
  ECONNREFUSED: unreachable('connection refused'),
  ENOTFOUND: unreachable('the host is unknown'),
  EAI_AGAIN: unreachable('the host cannot be looked up'),
  ETIMEDOUT: unreachable('no answer'),
  EHOSTUNREACH: unreachable('no route to the host'),
  ENETUNREACH: unreachable('no route to the network'),
  ECONNRESET: gone,
  EPIPE: gone,
  '28P01': password,
  '28000': password,
  '3D000': {
    code: 'connect',
    reason: (place) => `there is no database ${place.database} at ${place.host}`,
    hint: (place) => `create it: createdb ${place.database}`,
  },
  '53300': {
    code: 'connect',
    reason: (place) => `${place.host} has no free connection`,
    hint: () => 'raise max_connections there, or run fewer bridges',
  },
  '57P01': gone,
  '57P02': gone,
  '57P03': unreachable('the server is starting up or shutting down'),
  '57P05': gone,
  '08000': gone,
  '08003': gone,
  '08006': gone,
  '42501': denied,
  '55P03': tooLate('a lock was not free in time'),
  '57014': tooLate('the statement was cancelled or ran into its timeout'),
  '25006': {
    code: 'unsupported',
    reason: (place) => `${place.host} is read-only (a standby)`,
    hint: () => 'use the URL of the primary',
  },
}

/** What evt's own SQL raises: `raise exception … using errcode = 'EV001'`. The message is the function's. */
export const evtSqlStates: Readonly<Record<string, ErrorCode>> = {
  EV001: 'fenced',
  EV002: 'conflict',
  EV003: 'too-large',
  EV004: 'contract',
  EV005: 'usage',
  EV006: 'checksum',
  EV007: 'refused',
  EV008: 'unsupported',
}

/** Undefined tables, schemas, functions and columns mean missing migrations only where they are evt's own. */
function isMissingSchema(error: Error, code: string): boolean {
  return ['42P01', '3F000', '42883', '42703'].includes(code) && /\bevt\b|"evt/.test(error.message)
}

function translationOf(error: Error): Translation | undefined {
  const code = String((error as { code?: unknown }).code ?? '')
  if (isMissingSchema(error, code)) return missing
  if (byCode[code]) return byCode[code]
  // Of a local socket. Other files that are missing (a certificate) are told as they are.
  if (code === 'ENOENT' && (error as { syscall?: unknown }).syscall === 'connect')
    return unreachable('nothing listens at the local socket')
  if (/Query read timeout|connection timeout|timeout exceeded when trying to connect/.test(error.message))
    return unreachable('no answer')
  // What the driver says when the server asks for a password and there is none.
  if (/client password must be a string|password must be a string/.test(error.message)) return noPassword
  if (/Connection terminated|Client has encountered a connection error|not queryable/.test(error.message)) return gone
  return undefined
}

/**
 * What the driver threw, as EvtError where it is about the server, the schema or evt's own rules; anything else (a unique
 * violation in a handler's table) is the caller's business and comes back unchanged. Never throws.
 */
export function translateError(thrown: unknown, place: Place, verb = 'use'): Error {
  const error = firstError(thrown)
  if (error instanceof EvtError) return error
  const own = evtSqlStates[String((error as { code?: unknown }).code ?? '')]
  if (own) return new EvtError(own, error.message, { ...hintOf(error), cause: error })
  const translation = translationOf(error)
  if (!translation) return error
  return new EvtError(translation.code, `cannot ${verb} ${place.url}: ${translation.reason(place, error)}`, {
    hint: translation.hint(place),
    cause: error,
  })
}

/** The server answers, and refuses us: it goes on doing so until somebody changes something. */
const refusals: ReadonlySet<string> = new Set(['42501', '28P01', '28000', '3D000'])

export function isRefusal(error: unknown): boolean {
  if (!(error instanceof EvtError) || error.code !== 'connect') return false
  return refusals.has(String((error.cause as { code?: unknown } | undefined)?.code))
}

/** The server is away, starting or full: that passes by itself, so whoever runs for long waits and asks again. */
export function isOutage(error: unknown): boolean {
  return error instanceof EvtError && error.code === 'connect' && !isRefusal(error)
}

function hintOf(error: Error): { readonly hint?: string } {
  const hint = (error as { hint?: unknown }).hint
  return typeof hint === 'string' ? { hint } : {}
}

/** Node reports a host with several addresses as one AggregateError without a message. */
function firstError(thrown: unknown): Error {
  if (thrown instanceof AggregateError && thrown.errors.length > 0) return toError(thrown.errors[0])
  return toError(thrown)
}

/** A table that was named is not there (any more): retention has dropped it. */
export function isMissingTable(error: unknown): boolean {
  return error instanceof EvtError && (error.cause as { code?: unknown } | undefined)?.code === '42P01'
}
