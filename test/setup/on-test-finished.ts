import { onTestFinished as ofLatestTest } from 'vitest'
import { runningTest } from './running-test.ts'

/** As vitest's, also in tests that run beside each other: vitest's belongs to whichever of them began last. */
export const onTestFinished: typeof ofLatestTest = (handler, timeoutMs) =>
  (runningTest.getStore()?.onTestFinished ?? ofLatestTest)(handler, timeoutMs)
