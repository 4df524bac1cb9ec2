// What a bus is made of while it runs; and what stands there for one that is switched off, `EVENT_BUS_TYPE=noop`.
import type { BusHealth, HealthDesk } from './bus-health.ts'
import type { Place } from './bus-place.ts'
import { EvtError } from './core/errors.ts'
import type { DirectSubscribers } from './handle/direct/direct-subscribers.ts'
import type { AnyHandlerDefinition, HandlerLog } from './handle/handler.ts'
import type { Pipeline } from './publish/pipeline.ts'
import { publishNowhere } from './publish/publish-nowhere.ts'
import type { Transport } from './transports/transport.ts'

export interface Parts {
  readonly place: Place
  readonly transport: Transport
  readonly publisher: Pipeline
  readonly subscribers: DirectSubscribers
  readonly health: HealthDesk
}

/** What it does not say itself, the configuration says. */
export async function addTo({ place, subscribers, health }: Parts, definition: AnyHandlerDefinition): Promise<string> {
  const { withDefaults } = await import('./handle/with-defaults.ts')
  await subscribers.add(withDefaults(definition, place.handling), { isPaused: place.isPaused })
  health.subscribed(definition)
  return definition.name
}

/** Publishing costs a call; handlers are checked and hear nothing. Says so. */
export function idleParts({
  place,
  transport,
  calm,
}: Pick<Parts, 'place' | 'transport'> & { readonly calm: HandlerLog }): Parts {
  calm.warn('this bus is switched off: nothing is sent, and no handler hears anything', { hint: 'EVENT_BUS_TYPE=noop' })
  return { place, transport, publisher: publishNowhere, subscribers: createIdleSubscribers(), health: createIdleDesk() }
}

function createIdleSubscribers(): DirectSubscribers {
  const names = new Set<string>()
  const demand = (name: string) => {
    if (!names.has(name)) throw new EvtError('usage', `cannot pause or resume ${name}: no handler of that name is here`)
  }
  return {
    async add(definition) {
      const { resolveDirect } = await import('./handle/direct/direct-config.ts')
      const { name } = resolveDirect(definition)
      if (names.has(name))
        throw new EvtError('config', `cannot use handler ${name}: two handlers have that name`, {
          hint: 'a name stands for one position on the bus',
        })
      names.add(name)
    },
    remove: async (name) => names.delete(name),
    pause: demand,
    resume: demand,
    stop: async () => {},
  }
}

/** Nothing is wrong with it: whoever restarts what is not healthy leaves it alone. */
const idleHealth: BusHealth = { status: 'healthy', connected: false, subscribedEvents: [], pendingMessages: {} }

const createIdleDesk = (): HealthDesk => ({ subscribed() {}, look: async () => idleHealth })
