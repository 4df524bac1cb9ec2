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
/** What was dropped lies aside until it is counted, and no more of it. */
const mostBytesCounted = 64 * 1024 * 1024
const countMs = 1_000
/** A stream that sends nothing for so long has nothing after the time that was asked for. */
const silentMs = 2_000

export interface ObserveInit {
  readonly session: Session
  readonly topics: Topics
  readonly onProblem: (error: Error) => void
  /** Default 256 MiB. */
  readonly mostWaiting?: number
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
  { session, topics, onProblem, mostWaiting = mostBytesWaiting }: ObserveInit,
  { topics: names, patterns }: Selector,
  { from, follow, signal: given }: ObserveOptions,
): AsyncGenerator<readonly Received[]> {
  const signal = AbortSignal.any([given, session.closing])
  const wanted = createWanted(patterns)
  let sources: readonly Source[] | undefined
  let hasShown = false
  for (let failures = 0; !signal.aborted; failures++) {
    try {
      const link = await session.link('read')
      if (sources === undefined) {
        const all: Source[] = []
        for (const name of names) all.push(await sourceOf({ session, topics, link, name, from, follow }))
        sources = follow ? all : all.filter((source) => hasPast(source, from))
      }
      if (sources.length === 0) return
      if (hasShown && sources.some(({ stream }) => !stream)) onProblem(gap(session))
      failures = 0
      hasShown = true
      yield* watch({ link, sources, from, follow, signal, wanted, onProblem, mostWaiting })
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
  readonly onProblem: (error: Error) => void
  readonly mostWaiting: number
}

async function* watch(init: WatchInit): AsyncGenerator<readonly Received[]> {
  const { link, sources, follow, signal, wanted } = init
  const bell = createDoorbell()
  const queue: Arrived[] = []
  const over = new AbortController()
  const channels: Channel[] = []
  const stops: (() => Promise<void>)[] = []
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
      else {
        const { mostWaiting, onProblem } = init
        stops.push(await bindPrivateQueue({ channel, source, onMessage, mostWaiting, onProblem }))
      }
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
      else {
        const silence = AbortSignal.timeout(silentMs)
        await bell.wait(signal, over.signal, silence)
        if (silence.aborted && queue.length === 0) endSilent(sources, init.from)
      }
    }
  } finally {
    for (const channel of channels) channel.removeAllListeners('close')
    await Promise.all(stops.map((stop) => stop()))
    await Promise.all(channels.map(closeChannel))
  }
}

const isAtEnd = ({ next, end }: Source): boolean => next !== undefined && next > end

/** Whether there may be something from there to the end: an exchange keeps nothing. */
function hasPast({ stream, end }: Source, from: ObserveOptions['from']): boolean {
  if (!stream || end < 0 || from === 'now') return false
  if (from === 'start') return true
  return 'timeMs' in from ? from.timeMs <= Date.now() : Number(from.position) <= end
}

/** Only a time may lie behind the last message without anybody knowing. */
function endSilent(sources: readonly Source[], from: ObserveOptions['from']): void {
  if (typeof from === 'string' || !('timeMs' in from)) return
  for (const source of sources) source.next ??= source.end + 1
}

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
  onProblem(error: Error): void
  readonly mostWaiting: number
}

/** Exclusive: it is gone with the connection, also after kill -9. Returns what ends the counting of what it drops. */
async function bindPrivateQueue(init: PrivateQueue): Promise<() => Promise<void>> {
  const { channel, mostWaiting, onMessage, source } = init
  const { topic, bindingKey } = source
  const name = randomUUID()
  const [queue, dropped] = [`evt.observer.${name}`, `evt.observer-dropped.${name}`]
  const toDropped = { 'x-dead-letter-exchange': '', 'x-dead-letter-routing-key': dropped } as const
  const bounded = (most: number) => ({ 'x-max-length-bytes': most, 'x-overflow': 'drop-head' }) as const
  for (const options of [
    { queue: dropped, arguments: bounded(mostBytesCounted) },
    { queue, autoDelete: true, arguments: { ...bounded(mostWaiting), ...toDropped } },
  ])
    await within(channel.queueDeclare({ exclusive: true, ...options }), `observe ${topic}`)
  await within(channel.queueBind({ queue, exchange: topic, routingKey: bindingKey }), `observe ${topic}`)
  await within(channel.basicConsume({ queue, exclusive: true }, onMessage), `observe ${topic}`)
  return countDropped(init, dropped)
}

/** Emptying a queue tells how much was in it. */
function countDropped({ channel, source: { topic }, onProblem }: PrivateQueue, queue: string): () => Promise<void> {
  let total = 0
  const count = async () => {
    const { messageCount } = await within(channel.queuePurge({ queue }), `observe ${topic}`)
    if (messageCount === 0) return
    total += messageCount
    onProblem(tooSlow(topic, total))
  }
  // A failure is the channel's, and ends the watching.
  const timer = setInterval(() => void (channel.active && count().catch(() => {})), countMs).unref()
  return async () => {
    clearInterval(timer)
    if (channel.active) await within(channel.queueDelete({ queue }), `observe ${topic}`).catch(() => {})
  }
}

function tooSlow(topic: string, total: number): EvtError {
  const problem = `cannot show all of ${topic}: what reads here is slower than what comes, and the oldest ${total} or more were dropped`
  return new EvtError('timeout', problem, { hint: 'observe fewer types, or write to a file instead of a terminal' })
}

function gap(session: Session): EvtError {
  return new EvtError(
    'connect',
    `the connection to ${session.options.url} was lost for a while: what was published meanwhile is not shown`,
  )
}
