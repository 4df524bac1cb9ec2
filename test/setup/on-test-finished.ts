import { AsyncLocalStorage } from 'node:async_hooks'
import { aroundEach, onTestFinished as ofLatestTest, type TestContext } from 'vitest'

const running = new AsyncLocalStorage<TestContext>()
aroundEach((run, test) => running.run(test, run))

/** As vitest's, also in tests that run beside each other: vitest's belongs to whichever of them began last. */
export const onTestFinished: typeof ofLatestTest = (handler, timeoutMs) =>
  (running.getStore()?.onTestFinished ?? ofLatestTest)(handler, timeoutMs)
