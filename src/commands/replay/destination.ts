import { encodeAs } from '../../core/codec/encode-as.ts'
import { fromHeaders } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import type { HistoryEntry } from '../../core/history.ts'
import { planTopics } from '../../core/layout.ts'
import { parseRenames, type Renames } from '../../core/rename.ts'
import type { SinkOptions } from '../../core/sinks-and-sources.ts'
import { renamedHeaders } from '../../relay/encode.ts'
import type { Message, Transport } from '../../transports/transport.ts'
import { connectionsOf } from '../line/connections.ts'
import { topicNamed, withTarget } from '../line/target.ts'
import type { Runtime } from '../runtime.ts'

/** Where a replay to a target publishes: open, and it is known which topics. */
export interface Destination {
  /** Of the sink, or the URL with its password. */
  readonly name: string
  readonly transport: Transport
  topicOf(entry: HistoryEntry): string
  messageOf(entry: HistoryEntry): Message
}

/**
 * Opens a sink of the configuration by its name, or a URL, for `work`, and closes it however that ends. Throws `usage` for what is
 * neither and for a URL that names no topic, `connect`.
 */
export async function withDestination<T>(
  runtime: Runtime,
  named: string,
  work: (to: Destination) => Promise<T>,
): Promise<T> {
  const sink = await findSink(named, runtime)
  return withTarget(runtime, sink.url, async (target) => {
    const { transport } = target
    const topic = sink.layout === 'per-type' ? undefined : (sink.topic ?? transport.named[0])
    // A URL has to say where: what nobody asked for would be written to a topic that nobody reads.
    if (sink.name === sink.url && transport.name !== 'noop') topicNamed(target, 'replay')
    const renames = parseRenames(sink.rename)
    const plan = planTopics({ ...sink, topic, separator: transport.separator })
    return work({
      name: sink.name,
      transport,
      topicOf: ({ type }) => plan.topicOf(renames.there(type)),
      messageOf: encoderOf(sink.dialect, renames),
    })
  })
}

/** What a sink of that name carries; undefined for a URL and for a sink that carries everything. Throws as `withDestination`. */
export const patternsOfTarget = async (named: string, runtime: Runtime): Promise<readonly string[] | undefined> =>
  (await findSink(named, runtime)).patterns

async function findSink(named: string, runtime: Runtime): Promise<SinkOptions> {
  const { settings } = await connectionsOf({ sink: [], source: [], consume: undefined }, runtime)
  const sink = settings.sinks?.find(({ name }) => name === named)
  if (sink) return sink
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(named)) return { name: named, url: named }
  const known = settings.sinks?.map(({ name }) => name).join(', ')
  throw new EvtError('usage', `cannot replay to ${named}: it is neither a sink of the configuration nor a URL`, {
    hint: known ? `sinks: ${known}` : 'such as redis://host/0?stream=again',
  })
}

/** In evt's own dialect the bytes of the log as they are; without its place in the log, by which readers would take it for known. */
function encoderOf(
  dialect: SinkOptions['dialect'] = 'cloudevents',
  renames: Renames,
): (entry: HistoryEntry) => Message {
  return (entry) => {
    const { id, subject: key, dataText } = entry
    const headers = renamedHeaders(entry.headers, renames)
    const body = Buffer.from(dataText)
    if (dialect === 'cloudevents') return { id, key, headers, body }
    return { id, key, ...encodeAs(dialect as never, { ...fromHeaders(headers, body), dataText }) }
  }
}
