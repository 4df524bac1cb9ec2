import { EvtError, toError } from '../core/errors.ts'
import { redactUrl } from '../core/mask.ts'
import type { RelayLog, SinkMeter } from './relay-recorder.ts'
import type { SinkConfig } from './sink-config.ts'

/** Nobody is there, or the way to it is down: the ordinary outage. */
const away: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'ENETUNREACH',
  'ETIMEDOUT',
])
/** Somebody has to change something, whenever it is said. */
const lasting: ReadonlySet<string> = new Set(['config', 'usage', 'unsupported'])

/**
 * What a sink or source waits for, as news: an outage passes by itself; a server that is there and does not let us in (password, another
 * protocol) needs a person. Once connected, only what says so of itself.
 */
export function levelOf(error: unknown, wasConnected: boolean): 'info' | 'warn' | 'error' {
  if (!(error instanceof EvtError)) return 'warn'
  if (error.code === 'fenced') return 'info'
  if (lasting.has(error.code)) return 'error'
  return wasConnected || error.code === 'timeout' || causesOf(error).some(({ code }) => away.has(String(code)))
    ? 'warn'
    : 'error'
}

function causesOf(error: Error): readonly (Error & { code?: unknown })[] {
  const { cause } = error
  if (!(cause instanceof Error)) return [error]
  const several = cause instanceof AggregateError ? cause.errors.filter((one) => one instanceof Error) : []
  return [error, ...several, ...causesOf(cause)]
}

interface Troubled {
  readonly config: SinkConfig
  readonly log: RelayLog
  readonly meter: SinkMeter
}

/** A trouble is told when it begins, not at every try. */
export function tellOnce(
  { config, log, meter }: Troubled,
  error: unknown,
  { told, wasConnected }: { readonly told?: string | undefined; readonly wasConnected: boolean },
): string {
  const { message, hint } = toError(error) as EvtError
  meter.waiting(message)
  if (told === message) return message
  log[levelOf(error, wasConnected)]('a sink waits', {
    sink: config.name,
    to: redactUrl(config.url),
    error: message,
    ...(hint ? { hint } : {}),
  })
  return message
}

/** A broker that has not answered for so long is news, whatever its driver is still waiting for. */
const silentMs = 3_000

/** Begins when something was sent; `end` when it was answered: true when somebody was told of the silence meanwhile. */
export function watchSilence(troubled: Troubled): { end(): boolean } {
  let told = false
  const timer = setTimeout(() => {
    told = true
    const error = new EvtError('timeout', `no answer for ${silentMs / 1000} s`, {
      hint: 'look whether the broker runs; evt goes on by itself when it answers',
    })
    tellOnce(troubled, error, { wasConnected: true })
  }, silentMs)
  return {
    end() {
      clearTimeout(timer)
      return told
    },
  }
}
