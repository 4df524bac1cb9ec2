// The library's other door, for tests of applications: `evtctl/testing`. Importing it loads no driver.
export { advanceClock, type ClockAdvance } from './testing/advance-clock.ts'
export { createTestBus, type TestBusOptions } from './testing/create-test-bus.ts'
export { type HandlerResult, type RecordedHandler, recordHandler } from './testing/record-handler.ts'
export { type WaitOptions, waitForEvents } from './testing/wait-for-events.ts'
