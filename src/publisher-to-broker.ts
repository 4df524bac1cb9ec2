// Publishing in the direct topology, for programs that handle nothing: as the bus of `event-bus.ts` publishes, opened by the first event.
import { makeTopics, type Place, placeOf, planOf } from './bus-place.ts'
import { EvtError } from './core/errors.ts'
import { createGuard } from './core/guard.ts'
import { compilePatterns } from './core/pattern.ts'
import { createRegistry, type Registry } from './core/registry.ts'
import type { EventBusOptions } from './event-bus.ts'
import type { HandlerLog } from './handle/handler.ts'
import { publishNowhere } from './publish/publish-nowhere.ts'
import { createSending, type OpenPipelineOptions, type Sending, type SendingOptions } from './publish/sending.ts'
import type { ServerProblem, Transport } from './transports/transport.ts'
import { createCalmLog } from './watch/calm-log.ts'
import { openTracing } from './watch/tracing/current.ts'

export interface DirectPublisherOptions
  extends SendingOptions,
    Pick<EventBusOptions, 'url' | 'env' | 'cwd' | 'layout' | 'topic' | 'lanes' | 'dialect' | 'tracing'> {
  /** There is none: what `send` has resolved is with the broker. */
  readonly store?: undefined
  /** Events of its types must fit their contracts; others pass. */
  readonly registry?: Registry
  readonly log?: HandlerLog
}

/** Without a store there are no transactions: `send` and `sendAll`, in the same words. */
export interface DirectPublisher extends Sending {}

const silent: HandlerLog = { debug() {}, info() {}, warn() {}, error() {} }

/** Throws `config` when nothing says where. */
export function createPublisherToBroker(options: DirectPublisherOptions): DirectPublisher {
  const { url, env, source, dialect } = options
  if (url === undefined && env === undefined)
    throw new EvtError('config', 'cannot make a publisher: nothing says where it publishes to', {
      hint: "give it a store: 'postgres://…', a broker as url: 'redis://…', or the environment as env",
    })
  const log = createCalmLog(options.log ?? silent)
  const known = options.registry ?? createRegistry([])
  const guard = known.guard ?? createGuard({ drafts: compilePatterns(options.drafts ?? []) })
  let opened: Transport | undefined
  let placed: Promise<Place> | undefined
  const findPlace = () => {
    placed ??= placeOf(options, log)
    return placed
  }

  async function open({ meter, onError }: OpenPipelineOptions) {
    const place = await findPlace()
    await openTracing(place.tracing)
    const { openTransport } = await import('./transports/registry.ts')
    const { createTransportPublisher } = await import('./publish/transport-publisher.ts')
    const onProblem = ({ message, hint }: Error & { readonly hint?: string }) =>
      log.error('something fails under the publisher', { error: message, hint })
    const onServerProblem = ({ problem, remedy }: ServerProblem) =>
      log.warn('the server of the publisher could lose what it takes', { problem, hint: remedy })
    const transport = await openTransport(place.url, { onProblem, onServerProblem })
    if (transport.isNowhere) {
      log.warn('this publisher is switched off: nothing is sent', { hint: 'EVENT_BUS_TYPE=noop' })
      opened = transport
      return publishNowhere
    }
    try {
      const plan = planOf(transport, place, options)
      await makeTopics(transport, { names: plan.fixed ?? [], lanes: plan.lanes, log })
      const publish = { ...place.publish, ...options.settings }
      const registry = { ...known, guard }
      const made = createTransportPublisher({ transport, plan, registry, source, onError, dialect, publish, meter })
      opened = transport
      return made
    } catch (error) {
      await transport.close()
      throw error
    }
  }

  return createSending(options, {
    settings: async () => (await findPlace()).publish,
    open,
    release: async () => opened?.close(),
  })
}
