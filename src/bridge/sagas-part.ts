import { parseDuration } from '../core/duration.ts'
import { EvtError } from '../core/errors.ts'
import type { HandlerDefinition } from '../handle/handler.ts'
import type { Saga } from '../handle/saga.ts'
import type { SagaConfig } from '../sagas/saga-config.ts'
import type { SagaHost } from '../sagas/saga-handler.ts'
import { settlesWithin } from '../store/close-within.ts'
import { createPublishRules } from './access.ts'
import { type PartContext, reportsOf } from './part.ts'

/** A broker that is away must not hold the start. */
const joiningMs = 5_000
const besideMs = 1_000
/** For their transactions, over all sagas of this process. */
const mostConnections = 8

/** The sagas of the bridge and of its services, and the timers of all. They read the log, whatever handlers read. */
export async function startSagas(context: PartContext): Promise<void> {
  const { options, store, registry, instance, recorder, log, calm, graceMs } = context
  const sagas = sagasOf(options)
  if (sagas.length === 0) return
  const timeoutMs = parseDuration(options.sagaTimeout ?? '1h')
  const { openTransport } = await import('../transports/registry.ts')
  const { openLoggedMessages } = await import('../store/logged-messages.ts')
  const { createEarlyReader } = await import('../sagas/read-early.ts')
  const { unsealedNames } = await import('../sagas/guard-state.ts')
  const { createSagaHandler } = await import('../sagas/saga-handler.ts')
  const { startTimerScan } = await import('../sagas/timer-scan.ts')
  const { createSubscribers } = await import('../handle/subscribers.ts')
  const { createStorePublisher, prepareEvent } = await import('../publish/publisher.ts')
  const transport = await openTransport(store.connectionString, reportsOf(context, 'the sagas'))
  context.keep('the log of the sagas', () => transport.close())
  const logged = openLoggedMessages(store)
  context.keep('early events', () => logged.close())
  const publisher = createStorePublisher({ store, registry, source: instance })
  const scan = startTimerScan(store, calm)
  context.keep('the timers', () => settlesWithin(scan.stop(), besideMs))
  const readEarly = createEarlyReader(logged, registry)
  const mayPublish = createPublishRules(options.services ?? [], context)
  const made = new Map<string, HandlerDefinition>()
  const host: SagaHost = {
    instance,
    timeoutMs,
    keyring: registry.guard?.keyring,
    readEvent: async ({ name }, position) => {
      const handler = made.get(name)
      return handler && readEarly(handler, position)
    },
    async prepare(saga, event) {
      mayPublish?.(saga, [event])
      await registry.guard?.load([event], registry.get)
      return prepareEvent(event, { registry, source: instance })
    },
    onTimer: (delayMs) => scan.ring(delayMs),
  }
  for (const saga of sagas) {
    made.set(saga.name, createSagaHandler(saga, host))
    const fields = unsealedNames(saga)
    if (fields.length > 0)
      log.warn('events of a saga encrypt a field, and its state does not', {
        saga: saga.name,
        fields: fields.join(', '),
        hint: 'sensitive(…, { encrypt: … }) in the schema of its state, or leave it out of the state',
      })
  }
  const handlers = [...made.values()]
  const publish: Parameters<typeof createSubscribers>[0]['publish'] = (sql, events, saga) => {
    mayPublish?.(saga, events)
    return publisher.publish(sql, events)
  }
  const connections = Math.min(options.connections ?? mostConnections, mostConnections)
  const shared = { store, transport, handlers, registry, recorder, instance, log, connections }
  const subscribers = createSubscribers({ ...shared, publish })
  context.keep('the sagas', () => subscribers.stop({ graceMs }))
  await subscribers.start()
  await settlesWithin(subscribers.joined(), joiningMs)
}

function sagasOf({ sagas = [], services = [], handlers = [] }: PartContext['options']): readonly SagaConfig[] {
  const all: readonly Saga[] = [...sagas, ...services.flatMap((service) => service.sagas ?? [])]
  const taken = new Set([...handlers, ...services.flatMap((service) => service.handlers)].map(({ name }) => name))
  for (const { name, kind } of all) {
    if (kind !== 'saga') throw new EvtError('config', `cannot use saga ${String(name)}: defineSaga did not make it`)
    if (taken.has(name))
      throw new EvtError('config', `cannot use saga ${name}: two sagas or handlers have that name`, {
        hint: 'a name stands for one position in the log',
      })
    taken.add(name)
  }
  // Only `defineSaga` makes them.
  return all as readonly (Saga & SagaConfig)[]
}
