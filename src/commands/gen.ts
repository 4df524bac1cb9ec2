import { parseRate, type RateShape } from '../core/rate.ts'
import { parseCorruptions } from '../generators/corruption.ts'
import { parseAssignment } from '../generators/overrides.ts'
import { argumentList, defineCommand, flag, text, value, values } from './command.ts'
import { printTo } from './gen/print.ts'
import { eventSource } from './gen/source.ts'
import { publishEvents, targetOptions } from './gen/target.ts'
import {
  consentOptions,
  count,
  dryRunOptions,
  duration,
  instant,
  ratio,
  storeOptions,
  streamFormatOptions,
} from './line/options.ts'
import { whereOptions } from './line/where.ts'

export default defineCommand({
  name: 'gen',
  section: 'load',
  summary: 'make synthetic events from the contracts',
  description: [
    'Realistic values, references that hold (who edits was created before), a few busy subjects and many quiet ones.',
    'One event without --count, --rate or --duration. Ends with `asked · accepted · confirmed · unknown`, exit 5 on a gap.',
    'With --seed the same options give the same events, byte for byte, as soon as --at fixes the time (--dry-run does).',
  ].join('\n'),
  examples: [
    { line: 'evt gen user.created --count 10', says: 'ten of one type' },
    { line: "evt gen 'user.*' --rate 50 --duration 1s", says: 'a mix, as an application in use has it' },
    {
      line: 'evt gen user.created --count 3 --seed 7 --dry-run',
      says: 'print NDJSON, publish nothing',
      needs: 'nothing',
    },
    {
      line: "evt gen 'document.*' --count 100 --corrupt poison,missing-field --ratio 5%",
      says: 'some that handlers trip over',
    },
  ],
  args: {
    types: argumentList({
      says: 'types (user.created, user.created@1) or patterns; none with --input',
      optional: true,
    }),
  },
  options: {
    count: value({ short: 'c', value: 'count', says: 'events in all', parse: count }),
    rate: value({
      value: 'per-second',
      says: '1000, 500..5000/60s, 200:30s,2000:10s or max',
      parse: parseRate as (text: string) => RateShape,
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
    input: value({
      short: 'f',
      value: 'file',
      says: 'publish these events (NDJSON) as they are; - is stdin',
      parse: text,
    }),
    check: flag({ on: true, says: 'events of --input must fit their contracts, where there are any' }),
    ...whereOptions,
    ...targetOptions,
    ...dryRunOptions,
    ...consentOptions,
    maxAffected: {
      ...consentOptions.maxAffected,
      shownDefault: '1000 with --yes; unbounded on this machine in no protected profile',
    },
    ...storeOptions,
    ...streamFormatOptions,
  },
  async run(input, runtime) {
    const source = await eventSource(input, runtime)
    if (input.options.dryRun) return printTo(runtime, source, input.options.dialect)
    return publishEvents(runtime, source, input)
  },
})

/** `user.created=70,user.deleted=1`. */
function weights(given: string): Readonly<Record<string, number>> {
  const pairs = given.split(',').map((pair) => {
    const [type = '', weight = ''] = pair.split('=').map((part) => part.trim())
    if (type === '' || !/^\d+(\.\d+)?$/.test(weight)) throw new Error(`'${pair}' is no type=number`)
    return [type, Number(weight)] as const
  })
  return Object.fromEntries(pairs)
}
