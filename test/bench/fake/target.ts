import { MessageChannel, type MessagePort, Worker } from 'node:worker_threads'
import type { BenchTarget, Sightings } from '../../../src/bench/target.ts'
import type { BrokerBehaviour, BrokerConnect, BrokerDelivery } from './broker-thread.ts'

export interface FakeTarget extends BenchTarget {
  /** One more client of the same broker, whose events are answered and go to no handler. */
  connect(): MessagePort
  readonly isClosed: boolean
}

/** Events go generator → broker thread → this thread, which plays the handlers: all of them see every event. */
export function createFakeTarget(
  behaviour: BrokerBehaviour,
  handlers: readonly string[] = ['fake.effect'],
): FakeTarget {
  const broker = new Worker(new URL('./broker-thread.ts', import.meta.url), { workerData: behaviour })
  const connect = (isHandled: boolean) => {
    const { port1, port2 } = new MessageChannel()
    broker.postMessage({ connect: port2, isHandled } satisfies BrokerConnect, [port2])
    return port1
  }
  const port = connect(true)
  let isClosed = false
  return {
    label: 'fake broker',
    handlers,
    hint: 'is the broker thread alive?',
    producer: { module: new URL('./producer.ts', import.meta.url).href, options: { port }, transfer: [port] },
    connect: () => connect(false),
    get isClosed() {
      return isClosed
    },
    async open(sightings: Sightings, clock) {
      broker.on('message', ({ deliver }: BrokerDelivery) => {
        for (const handler of handlers.keys()) {
          sightings.started(handler, deliver, clock())
          sightings.done(handler, deliver, clock())
        }
      })
    },
    async locate(_handler, ks) {
      return ks.map((k) => (behaviour.lost?.includes(k) ? 'lost' : 'open'))
    },
    async evidence() {
      return handlers.map(() => ({ duplicates: 0, reordered: 0 }))
    },
    facts: () => ({ broker: 'fake' }),
    async close() {
      if (isClosed) return
      isClosed = true
      await broker.terminate()
    },
  }
}
