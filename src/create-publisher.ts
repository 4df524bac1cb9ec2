import { assertPublisherOptions } from './bus-option-names.ts'
import { EvtError } from './core/errors.ts'
import { createPublisherToStore, type Publisher, type PublisherOptions } from './publish/publisher-to-store.ts'
import { createPublisherToBroker, type DirectPublisher, type DirectPublisherOptions } from './publisher-to-broker.ts'

/**
 * For programs that publish: to the store, also inside their own transactions, or, in the direct topology, to a broker. What `send` resolves
 * to, `onError`, `flush` and `close` are the same. Connects at the first use; throws `config` when nothing says where.
 *
 *     const publisher = createPublisher({ store: 'postgres://…', registry, source: 'accounts' })
 *     const publisher = createPublisher({ url: 'redis://…', source: 'accounts' })
 *     const publisher = createPublisher({ env: process.env, source: 'accounts' }) // EVENT_BUS_TYPE and its like
 */
export function createPublisher(options: PublisherOptions): Publisher
export function createPublisher(options: DirectPublisherOptions): DirectPublisher
export function createPublisher(options: PublisherOptions | DirectPublisherOptions): Publisher | DirectPublisher {
  if (options.store === undefined) {
    assertPublisherOptions(options)
    return createPublisherToBroker(options)
  }
  // `process.env.DATABASE_URL` that is not set, or is set to nothing.
  if (options.store === '')
    throw new EvtError('config', 'cannot make a publisher: its store is empty', {
      hint: "give the URL of a PostgreSQL, as 'postgres://localhost/app'",
    })
  if ('url' in options || 'env' in options)
    throw new EvtError('config', 'cannot make a publisher: it is given both a store and a broker', {
      hint: 'leave url and env out: what is in the store, the relay carries to brokers',
    })
  assertPublisherOptions(options)
  return createPublisherToStore(options)
}
