/** Every code that an EvtError can carry. `main.ts` maps them to exit codes; docs list them. */
export const errorCodes = [
  'usage', // the command line or an argument is wrong
  'config', // configuration is missing or invalid
  'connect', // a server cannot be reached or refuses us
  'refused', // refused for safety: a plan was shown, a flag would allow it
  'partial', // some of what was asked was done
  'contract', // an event does not fit its contract
  'unknown-type', // no contract of that type or version
  'checksum', // the stored bytes are not the ones that were published
  'decode', // bytes that are no event
  'too-large', // above the size limit
  'conflict', // same id with other bytes, or an unexpected sequence
  'fenced', // a lease was lost to another owner; what was tried did not happen
  'timeout', // a bound on time was reached
  'closed', // used after close
  'migrations', // the schema is missing, too old or too new
  'unsupported', // the server or transport cannot do it
  'interrupted', // the operator or the system asked us to stop
  'internal', // a defect of evt
] as const
export type ErrorCode = (typeof errorCodes)[number]

export interface EvtErrorOptions {
  /** The next thing to type or to look at. */
  readonly hint?: string
  readonly cause?: unknown
}

/**
 * The one error class. Message: `cannot <verb> <object>: <reason>`, naming topic or URL with the password removed.
 * A failed event is data, not an EvtError.
 */
export class EvtError extends Error {
  readonly code: ErrorCode
  readonly hint: string | undefined

  constructor(code: ErrorCode, message: string, options: EvtErrorOptions = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'EvtError'
    this.code = code
    this.hint = options.hint
  }
}

const forGood: ReadonlySet<ErrorCode> = new Set(['too-large', 'contract', 'decode', 'checksum', 'unknown-type'])

/**
 * Whether it is the event that was refused, which repeating cannot change. All other refusals (a replica, a missing topic, a key of another type)
 * are the server's, and somebody can mend that.
 */
export const isForGood = (error: unknown): boolean => error instanceof EvtError && forGood.has(error.code)

/** Any thrown value as an Error: strings, undefined and exotic objects included. Never throws. */
export function toError(thrown: unknown): Error {
  if (thrown instanceof Error) return thrown
  try {
    return new Error(typeof thrown === 'string' ? thrown : `thrown: ${JSON.stringify(thrown) ?? String(thrown)}`)
  } catch {
    return new Error('thrown: a value that cannot be shown')
  }
}
