import { defineCommand, value } from './command.ts'
import { runDemo } from './demo/run.ts'
import { count, duration, formatOptions, rate, ratio } from './line/options.ts'

export default defineCommand({
  name: 'demo',
  section: 'run',
  summary: 'a whole system in this terminal: database, bridge, services, traffic, dashboard',
  description: [
    'Needs no server and no configuration: an embedded PostgreSQL in .evt/ of the project (as root in /var/lib/evt/ when only',
    'root may enter the project), the reference services, and applications that write and publish, some of it poisoned.',
    'In a terminal it opens the dashboard; otherwise, or with --for, it runs that long, prints a summary and ends. Every',
    'other command works against it from a second terminal.',
  ].join('\n'),
  examples: [
    { line: 'evt demo', says: 'the dashboard on live events; q ends it' },
    { line: 'evt demo --for 5s --rate 100', says: 'no dashboard: a summary after five seconds', needs: 'nothing' },
  ],
  args: {},
  options: {
    for: value({
      value: 'time',
      says: 'run this long and print a summary',
      parse: duration,
      shownDefault: '15s off a terminal',
    }),
    rate: value({ value: 'per-second', says: 'writes of the applications', parse: rate, default: 20 }),
    poison: value({
      value: 'share',
      says: 'how many of them some handler trips over',
      parse: ratio,
      default: 0.02,
      shownDefault: '2%',
    }),
    seed: value({ value: 'number', says: 'the same writes every time', parse: count, shownDefault: 'a new one' }),
    ...formatOptions,
  },
  run: ({ options }, runtime) => runDemo(options, runtime),
})
