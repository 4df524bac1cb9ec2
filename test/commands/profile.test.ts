import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { createNowhere, runHere } from './evt.ts'

it('a handler’s bridges are profiled while they run, one file each for the DevTools; who ended is told', async () => {
  const nowhere = createNowhere()
  onTestFinished(() => nowhere.dispose())
  const { store, url } = await createTestDatabase({ max: 6 })
  let handled = 0
  const handler = defineHandler({
    name: 'test.busy',
    on: ['thing.*'],
    start: 'earliest',
    handle() {
      const end = performance.now() + 2
      while (performance.now() < end);
      handled += 1
    },
  })
  const bridges = ['one', 'two'].map((instance) => createBridge({ store: url, handlers: [handler], instance }))
  const stop = () => Promise.all(bridges.map((bridge) => bridge.stop()))
  onTestFinished(async () => void (await stop()))
  for (const bridge of bridges) await bridge.start()
  const evt = (...words: string[]) => runHere(words, { store: url, cwd: nowhere.path })
  const publishing = new AbortController()
  const published = (async () => {
    while (!publishing.signal.aborted) {
      const before = handled
      await store.query(`select evt.publish('thing.made', '{}', 'thing/' || n) from generate_series(1, 40) n`)
      await until(() => handled >= before + 20, { withinMs: 30_000 })
    }
  })()
  const known = `select from evt.instances where sample->'handlers'->0->>'handler' = 'test.busy'`
  await until(async () => (await store.query(known)).rows.length === 2, { withinMs: 20_000 })
  // One that ends before it has answered.
  await store.query(`insert into evt.instances (instance, host, pid, version, roles, leader, started_at, sample, beat_at)
    select 'ghost', host, 1, version, roles, false, started_at, sample, clock_timestamp() + interval '10 s'
    from evt.instances where instance = 'one'`)
  const running = evt('handlers', 'profile', 'test.busy', '--for', '1s', '--into', 'profiles', '--json')
  const asked = 'select from evt.profile_requests'
  await until(async () => (await store.query(asked)).rows.length > 0, { withinMs: 20_000 })
  await store.query(`update evt.instances set stopped_at = clock_timestamp() where instance = 'ghost'`)
  const ran = await running
  publishing.abort()
  await published
  expect(ran).toMatchObject({ exit: 5 })
  const { data } = JSON.parse(ran.stdout)
  expect(data).toMatchObject({ handler: 'test.busy', forMs: 1_000, silent: ['ghost'] })
  expect(data.profiles.map(({ instance }: { instance: string }) => instance)).toEqual(['one', 'two'])
  for (const profile of data.profiles) {
    expect(profile).toMatchObject({ pid: process.pid, samples: expect.any(Number), handled: expect.any(Number) })
    expect(profile.seconds).toBeGreaterThan(0.8)
    expect(profile.busy).toBeGreaterThan(0)
    // It burns the processor: most of what is not waiting is its own.
    expect(profile.inHandler).toBeGreaterThan(0)
    expect(profile.inHandler).toBeLessThanOrEqual(profile.busy)
  }
  const files = readdirSync(join(nowhere.path, 'profiles')).sort()
  expect(files).toEqual(['test.busy.one.cpuprofile', 'test.busy.two.cpuprofile'])
  const file = JSON.parse(readFileSync(join(nowhere.path, 'profiles', files[0] ?? ''), 'utf8'))
  expect(file).toMatchObject({ startTime: expect.any(Number), endTime: expect.any(Number) })
  expect(file.samples).toHaveLength(file.timeDeltas.length)
  expect(file.nodes.map(({ callFrame }: { callFrame: { functionName: string } }) => callFrame.functionName)).toContain(
    'handle',
  )
  expect((await store.query(`${asked} union all select from evt.profile_answers`)).rows).toEqual([])
  // Nothing that has a place in the log to lag behind.
  expect((await store.query(`select from evt.watch_tasks where task like 'profile%'`)).rows).toEqual([])
  expect((await store.query('select verb, target from evt.audit')).rows).toEqual([
    { verb: 'handlers profile', target: 'test.busy' },
  ])

  await stop()
  const nobody = await evt('handlers', 'profile', 'test.busy')
  expect(nobody).toMatchObject({ exit: 4, stderr: expect.stringContaining('no bridge of') })
  const wrong = await evt('handlers', 'profile', 'test.bussy')
  expect(wrong).toMatchObject({ exit: 2, stderr: expect.stringContaining('did you mean test.busy?') })
  expect(await evt('handlers', 'profile', 'test.busy', '--for', '1h')).toMatchObject({ exit: 2 })
})
