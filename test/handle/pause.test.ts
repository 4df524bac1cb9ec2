import { expect, it } from 'vitest'
import { until } from '../setup/until.ts'
import { run } from './running.ts'

it('a pause of this process stays when operators switch other handlers, and when they switch this one on again', async () => {
  const names = ['test.a', 'test.b']
  const running = await run(names.map((name) => ({ name, on: ['thing.*'], start: 'earliest', handle() {} })))
  const pausedNow = () => running.recorder.sample().handlers.map(({ paused }) => paused)
  const flip = (handler: string, paused: boolean) =>
    running.store.query(
      `insert into evt.handler_switches (handler, paused, changed_by) values ($1, $2, 'test')
       on conflict (handler) do update set paused = excluded.paused`,
      [handler, paused],
    )
  running.subscribers.pause('test.a')
  await flip('test.b', true)
  await until(() => pausedNow()[1])
  expect(pausedNow()).toEqual([true, true])
  await flip('test.a', true)
  await flip('test.b', false)
  await until(() => !pausedNow()[1])
  running.subscribers.resume('test.a')
  expect(pausedNow()).toEqual([true, false])
  await flip('test.a', false)
  await until(() => !pausedNow()[0])
})
