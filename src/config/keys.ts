// Room config: what can be configured, and where each value came from. May not know commands, the store or the process:
// the environment is an argument.
import { formatDuration, parseDuration } from '../core/duration.ts'
import { EvtError } from '../core/errors.ts'
import { redactUrl } from '../core/mask.ts'
import { parseCount } from '../core/quantity.ts'
import type { Service } from './services.ts'

export interface ConfigValues {
  /** URL of the store; without one the embedded store that runs is used. */
  readonly store: string | undefined
  readonly profile: string | undefined
  readonly color: 'auto' | 'always' | 'never'
  /** Reference services by name, or services of the project's own. */
  readonly services: readonly (string | Service)[]
  readonly graceMs: number
  readonly logLevel: LogLevel
  readonly retryAttempts: number
  readonly timeoutMs: number
  /** False: capture goes on, handlers wait. */
  readonly processing: boolean
}
export type ConfigKey = keyof ConfigValues

export const logLevels = ['debug', 'info', 'warn', 'error', 'silent'] as const
export type LogLevel = (typeof logLevels)[number]

interface KeyRule<T> {
  readonly says: string
  /** Its name in a file. */
  readonly name: string
  readonly default: T
  /** The value of a flag, a variable or a file, as text. */
  parse(text: string): T
  /** What the seed systems call it. */
  readonly alias?: string
  readonly show?: (value: T) => string
}

export const configKeys: { readonly [K in ConfigKey]: KeyRule<ConfigValues[K]> } = {
  store: {
    name: 'store',
    says: 'URL of the store',
    default: undefined,
    parse: (text) => text,
    show: (url) => (url ? redactUrl(url) : ''),
  },
  profile: { name: 'profile', says: 'named set of connections', default: undefined, parse: (text) => text },
  color: { name: 'color', says: 'colour of the output', default: 'auto', parse: oneOf(['auto', 'always', 'never']) },
  services: { name: 'services', says: 'services that a bridge runs', default: ['icons'], parse: listOf, show: namesOf },
  graceMs: {
    name: 'grace',
    says: 'time to drain when stopped',
    default: 10_000,
    parse: durationOf,
    show: formatDuration,
  },
  logLevel: {
    name: 'logLevel',
    says: 'level of the bridge’s log',
    default: 'info',
    parse: levelOf,
    alias: 'EVENT_LOG_LEVEL',
  },
  retryAttempts: {
    name: 'retryAttempts',
    says: 'attempts of a handler in all',
    default: 5,
    parse: atLeastOne,
    alias: 'EVENT_RETRY_ATTEMPTS',
  },
  timeoutMs: {
    name: 'timeout',
    says: 'time one attempt may take',
    default: 30_000,
    parse: durationOf,
    alias: 'EVENT_TIMEOUT',
    show: formatDuration,
  },
  processing: {
    name: 'processing',
    says: 'whether handlers run',
    default: true,
    parse: truth,
    alias: 'EVENT_PROCESSING_ENABLED',
  },
}

/** `EVT_RETRY_ATTEMPTS` for `retryAttempts`. */
export const variableOf = (name: string) => `EVT_${name.replace(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`

export function truth(text: string): boolean {
  if (/^(1|true|yes|on)$/i.test(text)) return true
  if (/^(0|false|no|off|)$/i.test(text)) return false
  throw new EvtError('usage', `cannot read '${text}': it is neither true nor false`)
}

function oneOf<const C extends readonly string[]>(choices: C): (text: string) => C[number] {
  return (text) => {
    if (choices.includes(text)) return text
    throw new EvtError('usage', `cannot read '${text}': it is none of ${choices.join(', ')}`)
  }
}

function levelOf(text: string): LogLevel {
  return oneOf(logLevels)(text.toLowerCase() === 'warning' ? 'warn' : text.toLowerCase())
}

/** A number without a unit means seconds: so the seed systems' settings are written. */
function durationOf(text: string): number {
  return /^\d+(\.\d+)?$/.test(text) ? Number(text) * 1000 : parseDuration(text)
}

function atLeastOne(text: string): number {
  const count = parseCount(text)
  if (count >= 1) return count
  throw new EvtError('usage', `cannot read '${text}': it must be at least 1`)
}

function listOf(text: string): string[] {
  return text.split(',').filter((name) => name !== '')
}

function namesOf(services: ConfigValues['services']): string {
  return services.map((service) => (typeof service === 'string' ? service : service.name)).join(',')
}
