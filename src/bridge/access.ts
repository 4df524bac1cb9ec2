import { assertSubscribes, createAccess, isDenied } from '../core/access.ts'
import { toError } from '../core/errors.ts'
import type { NewEvent } from '../core/event.ts'
import type { ServiceDefinition } from '../handle/define-service.ts'
import { contractsOf, type SagaConfig } from '../sagas/saga-config.ts'
import { noteDenied } from '../store/access.ts'
import type { PartContext } from './part.ts'

/** The same denial is written down at most so often. */
const everyMs = 1_000
const mostKnown = 1_000

/** Throws EvtError('config') for a handler, or a saga, that subscribes to what its service may not. */
export function checkSubscriptions(services: readonly ServiceDefinition[]): void {
  for (const { name, subscribes, handlers, sagas = [] } of services) {
    assertSubscribes({ name, subscribes }, handlers)
    // Only `defineSaga` makes them; what it did not make is refused where sagas start.
    const made = sagas.filter((saga): saga is SagaConfig => saga.kind === 'saga')
    const readers = made.map((saga) => ({ kind: saga.kind, name: saga.name, on: contractsOf(saga) }))
    assertSubscribes({ name, subscribes }, readers)
  }
}

/**
 * What handlers publish, by the rules of their service; undefined where no service has any. Throws EvtError('refused'), and writes it
 * down outside of the handler's transaction, which is rolled back.
 */
export function createPublishRules(
  services: readonly ServiceDefinition[],
  { store, calm }: Pick<PartContext, 'store' | 'calm'>,
): ((handler: string, events: readonly NewEvent[]) => void) | undefined {
  const byHandler = new Map(
    services.flatMap((service) => {
      const access = createAccess(service)
      return access ? [...service.handlers, ...(service.sagas ?? [])].map(({ name }) => [name, access] as const) : []
    }),
  )
  if (byHandler.size === 0) return undefined
  const known = new Map<string, { sinceMs: number; times: number }>()

  function note(who: string, target: string, reason: string): void {
    const key = `${who}\n${target}`
    const before = known.get(key)
    const nowMs = performance.now()
    if (before && nowMs - before.sinceMs < everyMs) {
      before.times += 1
      return
    }
    if (known.size >= mostKnown) known.clear()
    known.set(key, { sinceMs: nowMs, times: 0 })
    calm.warn('a service may not publish that', { service: who, type: target })
    noteDenied(store, { who, target, reason, times: 1 + (before?.times ?? 0) }).catch((error: unknown) =>
      calm.warn('cannot write down what was denied', { error: toError(error).message }),
    )
  }

  return (handler, events) => {
    const access = byHandler.get(handler)
    if (!access) return
    try {
      for (const { type } of events) access.assertPublish(type)
    } catch (error) {
      if (isDenied(error)) note(error.cause.who, error.cause.type, error.message)
      throw error
    }
  }
}
