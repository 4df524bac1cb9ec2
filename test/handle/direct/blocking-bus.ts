// A bus whose handler never gives back the event loop, in a process of its own.
import { createEventBus } from '../../../src/event-bus.ts'

const bus = createEventBus({ env: { ...process.env, EVENT_BUS_TYPE: 'memory', EVT_WATCHDOG: '400ms' } })
await bus.start()
await bus.subscribe('a.*', () => {}, { name: 'test.well' })
await bus.subscribe(
  'thing.*',
  () => {
    for (;;);
  },
  { name: 'test.blocking' },
)
await bus.publish({ type: 'thing.made', data: {} })
