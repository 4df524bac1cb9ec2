import { parseRate } from '../../core/rate.ts'
import { parseCorruptions } from '../../generators/corruption.ts'
import { parseAssignment } from '../../generators/overrides.ts'
import { flag, text, value, values } from '../command.ts'
import { count, duration, instant, ratio } from '../line/options.ts'

/** Which events, how many, and when. */
export const sourceOptions = {
  count: value({ short: 'c', value: 'count', says: 'events in all; of a scenario, instances', parse: count }),
  rate: value({
    value: 'per-second',
    says: '1000, 500..5000/60s, 200:30s,2000:10s or max; of a scenario, instances',
    parse: parseRate,
  }),
  duration: value({ value: 'time', says: 'end after this time', parse: duration }),
  seed: value({ value: 'number', says: 'the same events every time', parse: count, shownDefault: 'a new one' }),
  at: value({
    value: 'when',
    says: 'time of the first event',
    parse: instant,
    shownDefault: 'now; 2026-01-01 with --seed --dry-run',
  }),
  set: values({
    value: 'path=value',
    says: 'a field, typed by its contract: data.plan=pro',
    parse: (given) => parseAssignment(given),
  }),
  setString: values({
    value: 'path=text',
    says: 'a field, as text whatever it looks like',
    parse: (given) => parseAssignment(given, true),
  }),
  weights: value({ value: 'type=n,…', says: 'shares of the types', parse: weights }),
  corrupt: value({
    value: 'kinds',
    says: 'spoil some: missing-field, wrong-type, poison, …',
    parse: parseCorruptions,
  }),
  ratio: value({
    value: 'share',
    says: 'how many --corrupt spoils',
    parse: ratio,
    default: 0.01,
    shownDefault: '1%',
  }),
  speed: value({
    value: 'factor',
    says: 'think times of a scenario, and the gaps of --learn, are shorter by this',
    parse: factor,
    shownDefault: '1 for a scenario with --rate, else they take no time',
  }),
  tenants: value({
    value: 'count',
    says: 'of so many tenants, tenant-1 to tenant-N',
    parse: count,
    shownDefault: 'none but those in the data',
  }),
  learn: value({
    value: 'file',
    says: 'like this recording (NDJSON): its mix, pace, sizes, busy subjects and values, but nobody’s own',
    parse: text,
  }),
  list: flag({ says: 'show the scenarios of the services' }),
  input: value({
    short: 'f',
    value: 'file',
    says: 'publish these events (NDJSON) as they are; - is stdin',
    parse: text,
  }),
  check: flag({
    on: true,
    says: 'events of --input must fit their contracts, where there are any; a file is read through before',
  }),
} as const

function factor(given: string): number {
  const number = Number(given.replace(/x$/, ''))
  if (given.trim() === '' || !(number > 0 && number < Infinity)) throw new Error(`'${given}' is no number above 0`)
  return number
}

/** `user.created=70,user.deleted=1`. */
function weights(given: string): Readonly<Record<string, number>> {
  const pairs = given.split(',').map((pair) => {
    const [type = '', weight = ''] = pair.split('=').map((part) => part.trim())
    if (type === '' || !/^\d+(\.\d+)?$/.test(weight)) throw new Error(`'${pair}' is no type=number`)
    return [type, Number(weight)] as const
  })
  return Object.fromEntries(pairs)
}
