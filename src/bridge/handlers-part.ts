import { parseDuration } from '../core/duration.ts'
import { handlersOf } from '../handle/define-service.ts'
import type { Subscribers, SubscribersOptions } from '../handle/subscribers.ts'
import { settlesWithin } from '../store/close-within.ts'
import type { Intake } from '../store/handler-places.ts'
import type { Transport } from '../transports/transport.ts'
import { createPublishRules } from './access.ts'
import { type PartContext, reportsOf } from './part.ts'

/** A broker that is away must not hold the start. */
const joiningMs = 5_000
/** What only waits for the server must not take the handlers' grace. */
const besideMs = 1_000

/** The handlers of the bridge and of its services, and the inbox behind them. */
export async function startHandlers(context: PartContext): Promise<Subscribers> {
  const { options, store, registry, instance, recorder, log, graceMs } = context
  const handlers = [...(options.handlers ?? []), ...(options.services ?? []).flatMap(handlersOf)]
  const { createSubscribers } = await import('../handle/subscribers.ts')
  const { createStorePublisher } = await import('../publish/publisher.ts')
  const publisher = createStorePublisher({ store, registry, source: instance })
  const intake = await openPlaced(context)
  context.signal.throwIfAborted()
  const { connections, maxConcurrentHandlers, watchdog, checkInterval, onResult } = options
  const bounds = {
    ...(connections === undefined ? {} : { connections }),
    ...(maxConcurrentHandlers === undefined ? {} : { maxConcurrentHandlers }),
    ...(watchdog === undefined ? {} : { watchdogMs: parseDuration(watchdog) }),
    ...(checkInterval === undefined ? {} : { checkIntervalMs: parseDuration(checkInterval) }),
  }
  const { use } = options
  const shared = { store, ...intake, handlers, use, registry, recorder, instance, log, onResult, ...bounds }
  const mayPublish = createPublishRules(options.services ?? [], context)
  const made = createSubscribers({
    ...shared,
    publish(sql, events, handler) {
      mayPublish?.(handler, events)
      return publisher.publish(sql, events)
    },
  })
  context.keep('the handlers', () => made.stop({ graceMs }))
  await made.start()
  const joined = made.joined().then(context.readable.resolve)
  await settlesWithin(joined, joiningMs)
  const { keepInbox } = await import('../handle/keep-inbox.ts')
  const stopInbox = keepInbox(store, context.calm)
  context.keep('the inbox', () => settlesWithin(stopInbox(), besideMs))
  return made
}

interface OpenIntake extends Pick<SubscribersOptions, 'transport' | 'topics'> {
  readonly intake: Intake
  readonly logId?: string
}

/** Their intake, each handler's by way of where it stands: who was moved reads on where it was. */
async function openPlaced(context: PartContext): Promise<Pick<SubscribersOptions, 'transport' | 'topics'>> {
  const { store, instance, log } = context
  const { topics, ...given } = await openIntake(context)
  const { placeTransport } = await import('../handle/placed-transport.ts')
  let opened: Promise<Transport> | undefined
  const placed = placeTransport({
    ...{ store, instance, log, ...given },
    openLog() {
      opened ??= openLog(context)
      return opened
    },
  })
  context.keep('the places of the handlers', () => settlesWithin(placed.stop(), besideMs))
  return { transport: placed.transport, ...(topics === undefined ? {} : { topics }) }
}

async function openLog(context: PartContext): Promise<Transport> {
  const { openTransport } = await import('../transports/registry.ts')
  const { onProblem } = reportsOf(context, 'the handlers')
  const transport = await openTransport(context.store.connectionString, { onProblem })
  context.keep('the log of the handlers', () => transport.close())
  return transport
}

/** What handlers are to read: the log, or the sink that they consume. */
async function openIntake(context: PartContext): Promise<OpenIntake> {
  const { options, store, registry } = context
  const { consume } = options
  if (consume === undefined) return { transport: await openLog(context), intake: { name: 'log', target: '' } }
  const { openTransport } = await import('../transports/registry.ts')
  const { onProblem } = reportsOf(context, 'the handlers')
  const { findSink } = await import('../relay/sink-config.ts')
  const { openSinkForHandlers } = await import('../relay/read-sink.ts')
  const config = findSink(options.sinks ?? [], consume)
  const open = (more: object) => openTransport(config.url, { onProblem, ...more })
  const reading = await openSinkForHandlers({ store, config, open })
  context.keep('the transport', () => reading.close())
  const known = registry.types()
  return {
    transport: reading.transport,
    intake: { name: config.name, target: reading.target },
    logId: reading.logId,
    topics: ({ name, patterns, wanted }) =>
      reading.topicsOf({ name, patterns, types: wanted.types, matches: wanted.matches }, known),
  }
}
