import { randomUUID } from 'node:crypto'
import type { Channel } from 'rabbitmq-client'
import { EvtError } from '../../core/errors.ts'
import { createDoorbell } from '../doorbell.ts'
import type { ObserveOptions, Received, Selector } from '../transport.ts'
import { createWanted } from '../wanted.ts'
import { argumentsOf } from './burial.ts'
import { closeChannel, type Link, within } from './connect.ts'
import type { Delivery } from './driver.ts'
import { isFinal } from './errors.ts'
import { backoff, type Session } from './session.ts'
import { consumeStream, lastInStream, offsetOf } from './stream.ts'
import type { Topics } from './topics.ts'
import { fromDelivery, typeOf } from './wire.ts'

/** What the server sends ahead of what was shown. */
const prefetch = 2_000
/** An observer that is too slow costs the server so much and no more; the oldest go first. */
const mostBytesWaiting = 256 * 1024 * 1024

export interface ObserveInit {
  readonly session: Session
  readonly topics: Topics
  readonly onProblem: (error: Error) => void
}

/** Where a reader stands: `stream` where its messages have offsets. */
interface Source {
  readonly topic: string
  /** Which messages of an exchange. */
  readonly bindingKey: string
  readonly stream: boolean
  /** The next offset of a stream. */
  next: number | undefined
  /** The last one, where it is not followed; -1 of an empty stream. */
  readonly end: number
}

interface Arrived {
  readonly source: Source
  readonly delivery: Delivery
  readonly channel: Channel
}

/** Exchanges by private queues, which are gone with the connection; stream queues by offset. */
export async function* observeRabbit(
  { session, topics, onProblem }: ObserveInit,
  { topics: names, patterns }: Selector,
  { from, follow, signal: given }: ObserveOptions,
): AsyncGenerator<readonly Received[]> {
  const signal = AbortSignal.any([given, session.closing])
  const wanted = createWanted(patterns)
  const sources: Source[] = []
  let hasShown = false
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      const link = await session.link('read')
      if (sources.length === 0)
        for (const name of names) sources.push(await sourceOf({ session, topics, link, name, from, follow }))
      if (hasShown && sources.some(({ stream }) => !stream)) onProblem(gap(session))
      if (!follow && sources.every(({ stream }) => !stream)) return
      failures = 0
      hasShown = true
      yield* watch({ link, sources, from, follow, signal, wanted })
      if (!follow) return
    } catch (error) {
      if (isFinal(error) || !hasShown) {
        if (signal.aborted) return
        throw error
      }
    }
    await backoff(failures, signal)
  }
}

interface SourceInit {
  readonly session: Session
  readonly topics: Topics
  readonly link: Link
  readonly name: string
  readonly from: ObserveOptions['from']
  readonly follow: boolean
}

async function sourceOf({ session, topics, link, name, from, follow }: SourceInit): Promise<Source> {
  const kind = await topics.resolve(name)
  if (kind === undefined) {
    throw new EvtError('usage', `cannot observe ${name}: there is no exchange or queue of that name`, {
      hint: '`rabbitmqctl list_exchanges` and `rabbitmqctl list_queues` show which there are in this vhost',
    })
  }
  if (kind.kind !== 'queue') {
    const key = session.options.bindingKey ?? '#'
    // In evt's own exchanges the lane stands before the type.
    const bindingKey = kind.kind === 'lanes' && key !== '#' ? `*.${key}` : key
    if (from === 'now') return { topic: name, bindingKey, stream: false, next: undefined, end: -1 }
    throw new EvtError('unsupported', `cannot observe ${name} from the past: an exchange keeps nothing`, {
      hint: 'leave out --since; a stream queue (x-queue-type stream) can be read from any time: ?queue=NAME',
    })
  }
  if ((await argumentsOf(link, name))?.['x-queue-type'] === 'stream') {
    const last = follow ? undefined : await lastInStream(link, name)
    return { topic: name, bindingKey: '', stream: true, next: undefined, end: last === undefined ? -1 : offsetOf(last) }
  }
  throw new EvtError(
    'refused',
    `cannot observe queue ${name}: reading takes its messages away, or marks them as delivered`,
    {
      hint: 'observe the exchange that feeds it: ?exchange=NAME&key=…; or read it as a source, which settles what it stores',
    },
  )
}

interface WatchInit {
  readonly link: Link
  readonly sources: readonly Source[]
  readonly from: ObserveOptions['from']
  readonly follow: boolean
  readonly signal: AbortSignal
  readonly wanted: (type: string) => boolean
}

async function* watch(init: WatchInit): AsyncGenerator<readonly Received[]> {
  const { link, sources, follow, signal, wanted } = init
  const bell = createDoorbell()
  const queue: Arrived[] = []
  const over = new AbortController()
  const channels: Channel[] = []
  try {
    for (const source of sources) {
      const channel = await link.channel()
      channels.push(channel)
      channel.once('close', () => over.abort())
      channel.on('basic.cancel', () => over.abort())
      await within(channel.basicQos({ prefetchCount: prefetch }), `observe ${source.topic}`)
      const onMessage = (delivery: unknown) => {
        queue.push({ source, delivery: delivery as Delivery, channel })
        bell.ring()
      }
      if (source.stream) await consumeStream(channel, source.topic, startOf(source, init.from), onMessage)
      else await bindPrivateQueue({ channel, source, onMessage })
    }
    for (let n = 0; !signal.aborted && !(over.signal.aborted && queue.length === 0); ) {
      const batch = queue.splice(0, 500)
      const shown = batch.flatMap(({ source, delivery }) => {
        const at = source.stream ? String(offsetOf(delivery)) : String(++n)
        if (source.stream) source.next = Number(at) + 1
        return wanted(typeOf(delivery)) ? [fromDelivery(delivery, source.topic, at)] : []
      })
      if (shown.length > 0) yield shown
      for (const channel of channels) {
        const last = batch.findLast((arrived) => arrived.channel === channel)?.delivery.deliveryTag
        if (last !== undefined && channel.active) channel.basicAck({ deliveryTag: last, multiple: true })
      }
      if (queue.length > 0) continue
      if (follow) await bell.wait(signal, over.signal)
      else if (sources.every(isAtEnd)) return
      else await bell.wait(signal, over.signal)
    }
  } finally {
    for (const channel of channels) channel.removeAllListeners('close')
    await Promise.all(channels.map(closeChannel))
  }
}

/** A time or a position after the end has nothing to show, and an exchange keeps nothing. */
const isAtEnd = ({ stream, next, end }: Source): boolean => !stream || end < 0 || (next !== undefined && next > end)

function startOf({ next }: Source, from: ObserveOptions['from']): string | number {
  if (next !== undefined) return next
  if (from === 'now') return 'next'
  if (from === 'start') return 'first'
  // The library has no timestamps in tables: the server takes an interval, `30s`, for the same.
  if ('timeMs' in from) return `${Math.max(1, Math.ceil((Date.now() - from.timeMs) / 1_000))}s`
  return Number(from.position)
}

interface PrivateQueue {
  readonly channel: Channel
  readonly source: Source
  onMessage(delivery: unknown): void
}

/** Exclusive: it is gone with the connection, also after kill -9. */
async function bindPrivateQueue({ channel, source: { topic, bindingKey }, onMessage }: PrivateQueue): Promise<void> {
  const queue = `evt.observer.${randomUUID()}`
  const limits = { 'x-max-length-bytes': mostBytesWaiting, 'x-overflow': 'drop-head' } as const
  await within(
    channel.queueDeclare({ queue, exclusive: true, autoDelete: true, arguments: limits }),
    `observe ${topic}`,
  )
  await within(channel.queueBind({ queue, exchange: topic, routingKey: bindingKey }), `observe ${topic}`)
  await within(channel.basicConsume({ queue, exclusive: true }, onMessage), `observe ${topic}`)
}

function gap(session: Session): EvtError {
  return new EvtError(
    'connect',
    `the connection to ${session.options.url} was lost for a while: what was published meanwhile is not shown`,
  )
}
