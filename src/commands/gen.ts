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
    'A scenario is a flow with references between its steps, think times, branches, and what it expects of the system: --list shows',
    'those of the services, docs/generating.md how to write one. Its --count and --rate are of instances; with --rate think times are',
    'those of the clock, else they take no time and lie in the past. An expected event that does not come is exit 1.',
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
    { line: 'evt gen --learn traffic.ndjson --count 1000 --dry-run', says: 'like what was recorded', exit: 2 },
    { line: 'evt gen --list', says: 'scenarios that the services bring', needs: 'nothing' },
    { line: 'evt gen ./signup.yaml --rate 5 --duration 1m --speed 10', says: 'a flow of your own', exit: 2 },
  ],
  args: {
    types: argumentList({
      says: 'types (user.created, user.created@1), patterns, scenario:NAME or a file of one; none with --input',
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
    if (input.options.list) return (await import('./gen/list.ts')).listScenarios(runtime)
    const source = await eventSource(input, runtime)
    if (input.options.dryRun) return printTo(runtime, source, input.options.dialect)
    if (!source.expects) return publishEvents(runtime, source, input)
    const { withWatcher } = await import('./gen/watcher.ts')
    return withWatcher(runtime, input.options.target, (watcher) => {
      source.stage?.watch(watcher)
      return publishEvents(runtime, source, input)
    })
  },
})
