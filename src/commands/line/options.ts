// The flags that several commands share, spelled once.
import { parseDuration } from '../../core/duration.ts'
import { EvtError } from '../../core/errors.ts'
import { parseInstant } from '../../core/instant.ts'
import { parseCount } from '../../core/quantity.ts'
import { choice, flag, type Parse, text, value, values } from '../command.ts'

export const duration: Parse<number> = (given) => parseDuration(given)
export const count: Parse<number> = (given) => parseCount(given)
const atLeastOne: Parse<number> = (given) => {
  const number = parseCount(given)
  if (number >= 1) return number
  throw new EvtError('usage', 'it must be 1 or more')
}
export const instant: Parse<ReturnType<typeof parseInstant>> = (given, { nowMs }) => parseInstant(given, nowMs)
export const list: Parse<readonly string[]> = (given) =>
  given
    .split(',')
    .map((part) => part.trim())
    .filter(Boolean)

/** Events a second: `1000`, `2.5k`, `1000/s`. */
export const rate: Parse<number> = (given) => {
  const number = /^\d+(\.\d+)?$/.test(given) ? Number(given) : parseCount(given.replace(/\/s$/, ''))
  if (number > 0 && Number.isFinite(number)) return number
  throw new EvtError('usage', 'it must be more than 0 events a second')
}
/** `1%`, `0.01`. */
export const ratio: Parse<number> = (given) => {
  const number = given.endsWith('%') ? Number(given.slice(0, -1)) / 100 : Number(given)
  if (given !== '' && number >= 0 && number <= 1) return number
  throw new EvtError('usage', 'it must be between 0 and 1, or 0% and 100%')
}
const regex: Parse<RegExp> = (given) => new RegExp(given, 'u')

/** Every command has these. */
export const globalOptions = {
  profile: value({
    short: 'p',
    value: 'name',
    says: 'use this named set of connections',
    parse: text,
    config: 'profile',
  }),
  config: value({ value: 'file', says: 'read this file in place of evt.config.*', parse: text }),
  color: value({
    value: 'when',
    says: 'auto, always or never',
    parse: choice(['auto', 'always', 'never']),
    default: 'auto',
    config: 'color',
  }),
  quiet: flag({ short: 'q', says: 'no notices on stderr' }),
  verbose: flag({ short: 'v', says: 'more notices on stderr' }),
  debug: flag({ says: 'show the chain of causes of an error' }),
  help: flag({ short: 'h', says: 'show this help' }),
} as const

/** For commands with one result. */
export const formatOptions = {
  output: value({
    short: 'o',
    value: 'format',
    says: 'text, json or none',
    parse: choice(['text', 'table', 'json', 'none']),
    default: 'text',
  }),
  json: flag({ says: 'the same as -o json' }),
} as const

/** For commands that print events as they come. */
export const streamFormatOptions = {
  output: value({
    short: 'o',
    value: 'format',
    says: 'text, ndjson, json or none',
    parse: choice(['text', 'ndjson', 'json', 'none']),
    default: 'text',
  }),
  json: flag({ says: 'the same as -o json' }),
} as const

export const storeOptions = {
  store: value({
    value: 'url',
    says: 'the Postgres that holds the store',
    parse: text,
    config: 'store',
    shownDefault: 'the embedded one that runs',
  }),
} as const

/** Lines that a person wants to see, out or lit up. */
export const lineOptions = {
  include: values({ short: 'i', value: 'regex', says: 'only lines that match one of these', parse: regex }),
  exclude: values({ short: 'e', value: 'regex', says: 'no lines that match one of these', parse: regex }),
  highlight: values({ short: 'H', value: 'regex', says: 'light up what matches', parse: regex }),
} as const

export const spanOptions = {
  since: value({
    value: 'when',
    says: 'from there on, inclusive: 15m ago, RFC 3339, epoch, start, now, position:123',
    parse: instant,
  }),
  until: value({ value: 'when', says: 'up to there, inclusive', parse: instant }),
} as const

export const limitOptions = {
  limit: value({ short: 'n', value: 'count', says: 'stop after this many, 1 or more', parse: atLeastOne }),
} as const

/** For everything that changes more than one thing at once. */
export const consentOptions = {
  yes: flag({ short: 'y', says: 'do it without asking' }),
  reason: value({ value: 'text', says: 'why, for the audit log', parse: text }),
  maxAffected: value({
    value: 'count',
    says: 'refuse to touch more than this, also with --yes',
    parse: count,
    shownDefault: '1000 with --yes',
  }),
} as const

export const dryRunOptions = {
  dryRun: flag({ says: 'show what would happen and touch nothing' }),
} as const
