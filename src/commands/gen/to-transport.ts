import { encodeAs } from '../../core/codec/encode-as.ts'
import type { DialectName, EncodedEvent } from '../../core/codec.ts'
import { EvtError } from '../../core/errors.ts'
import type { Outcome } from '../../output/exit-codes.ts'
import type { Output } from '../../output/output.ts'
import type { Message, Published, Transport } from '../../transports/transport.ts'
import { refuseWhenReadonly } from '../line/consent.ts'
import { assertTopic, type TopicAsked, topicNamed, withTarget } from '../line/target.ts'
import type { Runtime } from '../runtime.ts'
import { askToPublish, type PublishInput } from './ask.ts'
import { createSender } from './over-outages.ts'
import { type Counts, type Destination, type Mutable, publishTo } from './publish.ts'
import { createSeal, type Seal } from './seal.ts'
import type { EventSource } from './source.ts'

interface TransportInput extends PublishInput {
  readonly url: string
  readonly dialect: DialectName
  readonly topic: TopicAsked
}

/** To the one topic of a broker that the URL names. */
export async function publishToTransport(
  runtime: Runtime,
  source: EventSource,
  { url, dialect, topic: asked, options, typed }: TransportInput,
): Promise<Outcome | undefined> {
  return withTarget(runtime, url, async (target) => {
    const topic = topicNamed(target, 'publish')
    refuseWhenReadonly(runtime, `publish to ${target.shown}`)
    const own = target.isOwn && !runtime.config.profile?.protect
    await askToPublish(runtime, source, { target: target.shown, own, options, typed })
    await assertTopic(target, topic, asked)
    const { transport, shown } = target
    const seal = await createSeal(runtime)
    const broker = { transport, shown, topic, dialect, seal, output: runtime.output, signal: runtime.signal }
    return publishTo(runtime, source, brokerDestination(broker))
  })
}

interface Broker {
  readonly transport: Transport
  readonly shown: string
  readonly topic: string
  readonly dialect: DialectName
  readonly seal: Seal
  readonly output: Output
  readonly signal: AbortSignal
}

/** Short outages of the broker are waited out; what nobody knows about stays unknown where it cannot be asked again. */
function brokerDestination({ shown, dialect, seal, ...broker }: Broker): Destination {
  const send = createSender({ ...broker, shown })
  return {
    seal,
    shown: { target: shown },
    async publish(encoded, written) {
      const { messages, problem } = messagesOf(encoded, dialect)
      written.refused += encoded.length - messages.length
      const { results, ended } = await send(messages)
      const first = count(results, written, ended)
      if (ended) throw ended
      return first ?? problem
    },
  }
}

/** What the dialect cannot hold is left out, with the reason. */
function messagesOf(events: readonly EncodedEvent[], dialect: DialectName) {
  const messages: Message[] = []
  let problem: EvtError | undefined
  for (const event of events) {
    try {
      messages.push({ id: event.id, key: event.subject ?? null, ...encodeAs(dialect, event) })
    } catch (error) {
      if (!(error instanceof EvtError)) throw error
      problem ??= error
    }
  }
  return { messages, problem }
}

/** The first problem of a single event; throws when all of them are refused. */
function count(
  results: readonly Published[],
  written: Mutable<Counts>,
  ended: EvtError | undefined,
): EvtError | undefined {
  let first: EvtError | undefined
  let lost: EvtError | undefined
  let refused = 0
  for (const result of results) {
    if (result.state === 'stored') {
      written.accepted += 1
      written.confirmed += 1
    } else if (result.state === 'duplicate') written.duplicates += 1
    else if (result.state === 'refused') {
      refused += 1
      first ??= result.error
    } else if (result.state === 'unknown') {
      written.unknown += 1
      lost ??= result.error
    }
  }
  written.refused += refused
  if (!ended && first && refused === results.length) throw first
  return lost ?? first
}
