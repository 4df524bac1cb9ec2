import { expect, it } from 'vitest'
import type { HandlerSample, InstanceSample } from '../../src/watch/snapshot.ts'
import { stoppedHandlers } from '../../src/watch/stopped-handlers.ts'
import { whyStopped } from '../../src/watch/why-stopped.ts'

const bridge = (...handlers: readonly Partial<HandlerSample>[]) =>
  ({ alive: true, handlers: handlers.map((one) => ({ paused: false, ...one })) }) as unknown as InstanceSample

it('a handler whose own check fails in one bridge is listed, with what the check says', () => {
  const [one, ...others] = stoppedHandlers(
    [],
    [
      bridge({ handler: 'a.well' }, { handler: 'a.mailer' }),
      bridge({ handler: 'a.mailer', unhealthy: 'Error: no answer' }),
    ],
  )
  expect(others).toEqual([])
  expect(one).toEqual({
    handler: 'a.mailer',
    state: 'unhealthy',
    pause: null,
    breaker: null,
    unhealthy: 'Error: no answer',
  })
  expect(one && whyStopped(one, 0)).toBe('its own check fails: Error: no answer')
})

it('a pause says more than the check does', () => {
  const samples = [bridge({ handler: 'a.mailer', paused: true, unhealthy: 'Error: no answer' })]
  expect(stoppedHandlers([], samples)).toMatchObject([{ state: 'paused', unhealthy: 'Error: no answer' }])
})
