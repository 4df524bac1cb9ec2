import { argumentList, defineCommand, flag, text, tristate, value, values } from './command.ts'
import { refuseExpandedGlob } from './line/expanded-glob.ts'
import {
  duration,
  limitOptions,
  lineOptions,
  list,
  spanOptions,
  storeOptions,
  streamFormatOptions,
} from './line/options.ts'
import { revealOptions } from './line/reveal.ts'
import { whereOptions } from './line/where.ts'
import { runTail } from './tail/run.ts'

export default defineCommand({
  name: 'tail',
  section: 'watch',
  summary: 'follow events as they are committed',
  description: [
    'Observes: joins no group, acknowledges nothing, writes nothing, and needs no running bridge. Quote patterns:',
    "'user.*' is every user event, '*.created' whatever was created, 'user.{created,deleted}' a list.",
    'Sources, several at once by repeating -s, shown as one stream in which each line says where it is from:',
    '  postgres://host/db                        the log of a store; without -s, the store in use',
    '  postgres://host/db?channel=user_events    a NOTIFY channel',
    '  redis://host/0?stream=user.events         a stream; a glob (user.*) follows streams that appear later',
    '  redis://host/0?pubsub=user.*              Pub/Sub channels',
    '  kafka://host:9092/topic                   a topic, a list (a,b) or a glob',
    '  amqp://host/vhost?exchange=events&key=user.%23   an exchange, through a queue of its own that goes with it',
    '  store                                     the store in use, beside others: no password to copy',
    'or the name of a source or sink in the configuration. CloudEvents in every mode, the shapes of known event systems and',
    'any other JSON or bytes are shown; --explain says which shape each event has. --since and --until work where the',
    "broker keeps history, by when it took an event (evt.recordedAt), which may be long after the event's own time. What was",
    'there in several sources comes in that order too, not in the order of the times that are shown; then what comes.',
    '--prove asks each server before and after for what a reader could leave there: exit 1 when something differs, 5 when',
    'one could not be asked (RabbitMQ tells all of it only where its URL names ?management=http://host:15672).',
    '--stages shows what the store measured, and of relayed events what their headers say: handlers that write no inbox',
    '(their own database, no transaction) are not in it, and when one committed is kept only by a server with',
    "track_commit_timestamp. Times are of the server's clock.",
    'With --no-follow it shows what is there and ends. Ctrl-C while following ends it with exit 0.',
  ].join('\n'),
  examples: [
    { line: "evt tail 'user.*'", says: 'every user event from now on', endless: true },
    {
      line: 'evt tail --since 15m --no-follow --where \'data.user_data.plan == "pro"\'',
      says: 'the last quarter of an hour',
    },
    {
      line: "evt tail 'document.*' --since start --limit 5 --no-follow -o ndjson",
      says: 'for jq, or for evt gen --input -',
    },
    { line: 'evt tail --since 15m --no-follow --stages', says: 'where they spent their time' },
    { line: 'evt tail --since start --no-follow --report', says: 'which types there are' },
    { line: 'evt tail --since 15m --no-follow --prove', says: 'and that looking left no trace' },
    {
      line: "evt tail 'user.*' -s 'redis://localhost:6379/0?stream=user.events' -s kafka://localhost:9092/users",
      says: 'two brokers as one stream',
      needs: 'brokers',
      endless: true,
    },
    {
      line: "evt tail -s 'redis://localhost:6379/0?stream=*' --since 1h --explain --limit 3",
      says: 'what others write there, and in which shape',
      needs: 'brokers',
    },
  ],
  args: { patterns: argumentList({ says: "types or patterns; default '*'", optional: true }) },
  options: {
    source: values({
      short: 's',
      value: 'url',
      says: 'where from, when not the store: a URL as above, store, or a name of the configuration',
      parse: text,
    }),
    ...spanOptions,
    ...whereOptions,
    ...lineOptions,
    ...limitOptions,
    follow: tristate({ says: 'go on after what is there', shownDefault: 'yes' }),
    idleTimeout: value({ value: 'time', says: 'end when nothing was shown for this long', parse: duration }),
    fields: value({ value: 'paths', says: 'only these: time,type,data.user_id', parse: list }),
    data: flag({ says: 'the whole data, however wide' }),
    wide: flag({ says: 'also id, version, position, source, correlation' }),
    explain: flag({ says: 'the shape of each event, and by which marks it is known' }),
    prove: flag({ says: 'ask each server before and after for what a reader could leave, and compare' }),
    stages: flag({ says: 'where each event spent its time: relay, deliver, handle; ? is not measured' }),
    report: flag({ says: 'a table of what flows in place of the events' }),
    ...revealOptions,
    raw: flag({ says: 'control characters as they are; not to a terminal' }),
    ...storeOptions,
    ...streamFormatOptions,
  },
  async run({ args, options }, runtime) {
    await refuseExpandedGlob(args.patterns, 'evt tail', runtime)
    const patterns = args.patterns.length > 0 ? args.patterns : ['*']
    return runTail({ ...options, patterns }, runtime)
  },
})
