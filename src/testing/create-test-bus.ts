// Room testing: what the tests of an application need. Knows the bus and how handlers are declared; never a transport.
import { createEventBus, type EventBus, type EventBusOptions } from '../event-bus.ts'

/** Where the bus is cannot be chosen: it is in this process, and its own. */
export type TestBusOptions = Omit<EventBusOptions, 'url' | 'env' | 'cwd'>

/**
 * A started bus in this process that shares nothing with any other, and needs no server; no configuration and no environment is read. It
 * promises what a bus without a store promises: `ctx.sql` throws. Ends with `stop()`, or by `await using`. Throws `config` for a wrong handler.
 */
export async function createTestBus(options: TestBusOptions = {}): Promise<EventBus & AsyncDisposable> {
  const bus = createEventBus({ grace: '2s', ...options, url: 'memory://' })
  await bus.start()
  return Object.assign(bus, { [Symbol.asyncDispose]: () => bus.stop() })
}
