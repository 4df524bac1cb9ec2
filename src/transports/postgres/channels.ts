import { randomUUID } from 'node:crypto'
import { EvtError } from '../../core/errors.ts'
import type { Store } from '../../store/connection.ts'
import { openListener } from '../../store/listener.ts'
import { createHandover } from '../handover.ts'
import { nothingPromised } from '../nothing-promised.ts'
import type { ObserveOptions, Received, Transport } from '../transport.ts'

export const channelCapabilities = nothingPromised

/**
 * A NOTIFY channel that others notify on: observed only, at most once. What is notified while the connection is lost is
 * lost, and nothing can be replayed. Topics are channels; the body is the payload as it was sent.
 */
export function createChannelTransport(store: Store, channel: string): Transport {
  const closing = new AbortController()
  assertChannel(channel)

  async function* observe(topics: readonly string[], options: ObserveOptions): AsyncGenerator<readonly Received[]> {
    if (options.from !== 'now' || !options.follow) {
      throw new EvtError(
        'unsupported',
        `cannot replay channel ${channel}: notifications are gone once they were sent`,
        {
          hint: 'follow it from now on',
        },
      )
    }
    const channels = topics.length > 0 ? topics : [channel]
    for (const name of channels) assertChannel(name)
    const signal = AbortSignal.any([options.signal, closing.signal])
    const found = createHandover<readonly Received[]>()
    const listener = openListener(store.connectionString, {
      channels,
      applicationName: 'evt channel',
      onNotification: (name, payload) => found.offer([toReceived(name, payload)]),
      onListening: () => {},
    })
    try {
      yield* found.iterate(signal)
    } finally {
      await listener.close()
    }
  }

  return {
    name: 'postgres',
    capabilities: channelCapabilities,
    named: [channel],
    observes: 'LISTEN, at most once',
    ensure: async () => [],
    async publish(topic, batch, signal) {
      if (closing.signal.aborted) throw new EvtError('closed', `cannot notify ${topic}: the transport was closed`)
      const error = new EvtError(
        signal.aborted ? 'interrupted' : 'unsupported',
        `cannot notify ${topic}: channels are only observed`,
      )
      return batch.map(() => ({ state: signal.aborted ? 'unknown' : 'refused', error }))
    },
    observe: ({ topics }, options) => observe(topics, options),
    inspect: async () => ({ topics: [], groups: [] }),
    async close() {
      closing.abort()
      await store.close()
    },
  }
}

function toReceived(topic: string, payload: string): Received {
  const id = randomUUID()
  return { id, key: null, headers: {}, body: Buffer.from(payload), topic, at: id, timeMs: Date.now(), deliveries: 1 }
}

/** LISTEN takes no parameters, so nothing but a plain name may get there. */
function assertChannel(name: string): void {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(name)) return
  throw new EvtError('usage', `cannot listen on ${JSON.stringify(name)}: a channel is a lower-case SQL name`)
}
