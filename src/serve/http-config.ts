import { parseDuration } from '../core/duration.ts'
import { EvtError } from '../core/errors.ts'
import type { HttpOptions } from '../core/http-options.ts'

export interface HttpConfig {
  readonly port: number
  readonly host: string
  readonly tls: HttpOptions['tls']
  readonly needsToken: boolean
  readonly bodyLimitBytes: number
  readonly rate: { readonly requests: number; readonly windowMs: number }
  readonly headersTimeoutMs: number
  readonly requestTimeoutMs: number
  readonly idleTimeoutMs: number
  readonly heartbeatMs: number
  readonly maxConnections: number
  readonly maxStreams: number
}

/** Throws `config` for what would open the door to everybody. */
export function resolveHttp(options: HttpOptions): HttpConfig {
  const host = options.host ?? '127.0.0.1'
  const isOpen = !isLoopback(host)
  if (isOpen && options.requireToken === false)
    throw new EvtError(
      'config',
      `cannot serve HTTP on ${host}: requireToken is false, and others can reach that address`,
      {
        hint: 'leave requireToken out, or serve on 127.0.0.1',
      },
    )
  const { requests = 2_000, window = '1s' } = options.rate ?? {}
  return {
    port: options.port ?? 8080,
    host,
    tls: options.tls,
    needsToken: isOpen || options.requireToken === true,
    bodyLimitBytes: options.bodyLimit ?? 4 * 1024 * 1024,
    rate: { requests, windowMs: parseDuration(window) },
    headersTimeoutMs: parseDuration(options.headersTimeout ?? '10s'),
    requestTimeoutMs: parseDuration(options.requestTimeout ?? '30s'),
    idleTimeoutMs: parseDuration(options.idleTimeout ?? '60s'),
    heartbeatMs: parseDuration(options.heartbeat ?? '15s'),
    maxConnections: options.maxConnections ?? 1_000,
    maxStreams: options.maxStreams ?? 100,
  }
}

/** As a person names an address of this machine that no other can reach. */
export const isLoopback = (host: string): boolean =>
  host === 'localhost' || host === '::1' || /^127(?:\.\d{1,3}){3}$/.test(host)
