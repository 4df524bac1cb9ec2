import { AsyncLocalStorage } from 'node:async_hooks'
import type { TestContext } from 'vitest'

/** The test in which code runs, also where several run beside each other. Empty in a process that a test has started. */
export const runningTest = new AsyncLocalStorage<TestContext>()
