import { expect, it } from 'vitest'
import { createRecorder } from '../../src/watch/recorder.ts'
import { stoppedHandlers } from '../../src/watch/stopped-handlers.ts'
import { stuckHandlers } from '../../src/watch/stuck.ts'
import { whyStopped } from '../../src/watch/why-stopped.ts'

const identity = { handler: 'shop.stuck', group: 'shop', priority: 'normal', concurrency: 1 }

function sampleAfter(ms: number) {
  const recorder = createRecorder()
  const meter = recorder.handler(identity)
  meter.unwritten({ sinceMs: performance.now() - ms, error: 'no room' })
  return recorder.sample().handlers
}

it('a handler that the store has refused for 30 s is unhealthy, and its process is not ready', () => {
  const handlers = sampleAfter(42_000)
  const unhealthy = 'the store has refused to note what became of an event for 42s: no room'
  expect(handlers).toMatchObject([{ health: 'failing', unhealthy }])
  expect(stuckHandlers(handlers)).toEqual([`handler shop.stuck waits: ${unhealthy}`])
  const [stopped] = stoppedHandlers([], [{ alive: true, handlers } as never])
  expect(stopped).toMatchObject({ state: 'unhealthy' })
  expect(stopped && whyStopped(stopped, 0)).toBe(unhealthy)
})

it('before that, it only says for how long', () => {
  const handlers = sampleAfter(5_000)
  expect(handlers[0]?.stuckMs).toBeGreaterThanOrEqual(5_000)
  expect(handlers).toMatchObject([{ health: 'healthy' }])
  expect(stuckHandlers(handlers)).toEqual([])
})
