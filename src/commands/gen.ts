import { argumentList, defineCommand } from './command.ts'
import { printTo } from './gen/print.ts'
import { eventSource } from './gen/source.ts'
import { sourceOptions } from './gen/source-options.ts'
import { publishEvents, targetOptions } from './gen/target.ts'
import { consentOptions, dryRunOptions, storeOptions, streamFormatOptions } from './line/options.ts'
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
    ...sourceOptions,
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
