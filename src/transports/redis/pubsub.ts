import { randomUUID } from 'node:crypto'
import type { Redis } from 'ioredis'
import { EvtError } from '../../core/errors.ts'
import { createHandover } from '../handover.ts'
import type { ObserveOptions, Received, Selector } from '../transport.ts'
import { answered } from './answered.ts'
import type { RedisContext } from './context.ts'
import { translateError } from './errors.ts'
import { isGlob } from './find-streams.ts'
import { visible } from './foreign-wire.ts'

/** A subscriber that hears nothing does not notice that its connection is dead: it asks. */
const heartbeatMs = 2_000
/** What waits for a slow reader; Redis itself would cut it off, and then everything is lost. */
const mostWaiting = 10_000
const mostWaitingBytes = 32 * 1024 * 1024

/**
 * Pub/Sub channels and patterns: at most once, in the order of arrival, and once for each name that matches. Nothing can be replayed: throws
 * `unsupported` for a start other than now. After a lost connection it subscribes again and tells what may be missing, and so it does
 * for what a slow reader left no room for.
 */
export async function* observeChannels(
  context: RedisContext,
  selector: Selector,
  { from, follow, signal }: ObserveOptions,
): AsyncGenerator<readonly Received[]> {
  const names = selector.topics.length > 0 ? selector.topics : context.options.channels
  if (from !== 'now' || !follow) {
    throw new EvtError('unsupported', `cannot replay ${names.join(', ')}: Pub/Sub keeps nothing`, {
      hint: 'follow it from now on (--since now), or observe a stream: ?stream=',
    })
  }
  const { place } = context.options
  const waiting = createWaiting((count) =>
    context.onProblem?.(
      new EvtError(
        'partial',
        `cannot show all of ${names.join(', ')}: ${count} messages came faster than they were read`,
      ),
    ),
  )
  const own = await context.connections.openOwn()
  const onMessage = (channel: Buffer, body: Buffer) => waiting.offer(toReceived(visible(channel), body))
  own.on('messageBuffer', onMessage)
  own.on('pmessageBuffer', (_: unknown, channel: Buffer, body: Buffer) => onMessage(channel, body))
  const stopWatching = watchConnection(own, context, names)
  try {
    await subscribe(own, names).catch((error: unknown) => {
      if (!signal.aborted) throw translateError(error, place, `subscribe to ${names.join(', ')}`)
    })
    yield* waiting.iterate(signal)
  } finally {
    stopWatching()
    own.disconnect()
  }
}

async function subscribe(own: Redis, names: readonly string[]): Promise<void> {
  const [channels, patterns] = [names.filter((name) => !isGlob(name)), names.filter(isGlob)]
  if (channels.length > 0) await own.subscribe(...channels)
  if (patterns.length > 0) await own.psubscribe(...patterns)
}

/** The driver connects and subscribes again by itself; nobody but us says that something may be missing. */
function watchConnection(own: Redis, { onProblem }: RedisContext, names: readonly string[]): () => void {
  let lostAt: number | undefined
  own.on('close', () => {
    lostAt ??= performance.now()
  })
  own.on('ready', () => {
    if (lostAt === undefined) return
    const seconds = Math.ceil((performance.now() - lostAt) / 1_000)
    lostAt = undefined
    const reason = `the connection was lost for ${seconds} s, and what was published meanwhile is lost`
    onProblem?.(new EvtError('partial', `cannot show all of ${names.join(', ')}: ${reason}`))
  })
  const beat = () => void answered(own, 0, () => own.ping()).catch(() => {})
  const timer = setInterval(beat, heartbeatMs)
  timer.unref()
  return () => {
    clearInterval(timer)
    own.removeAllListeners('close').removeAllListeners('ready')
  }
}

/** A heartbeat that fails has ended the connection, which is all that it is for. */

function createWaiting(onDropped: (count: number) => void) {
  const found = createHandover<Received>()
  let [count, bytes, dropped] = [0, 0, 0]
  return {
    offer(message: Received): void {
      if (count >= mostWaiting || bytes >= mostWaitingBytes) {
        dropped++
        return
      }
      count++
      bytes += message.body.length
      found.offer(message)
    },
    async *iterate(signal: AbortSignal): AsyncGenerator<readonly Received[]> {
      for await (const message of found.iterate(signal)) {
        const batch = [message, ...found.left()]
        for (const { body } of batch) bytes -= body.length
        count -= batch.length
        yield batch
        if (dropped > 0) onDropped(dropped)
        dropped = 0
      }
    },
  }
}

function toReceived(topic: string, body: Buffer): Received {
  const id = randomUUID()
  return { id, key: null, headers: {}, body, topic, at: id, timeMs: Date.now(), deliveries: 1 }
}
