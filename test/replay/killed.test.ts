import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { findReplay, type Replay } from '../../src/store/replays.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { openReplayOf, runOnce, writeHistory } from './history.ts'
import { slowly } from './slowly.ts'

it('a replay whose process is killed goes on where it was, and does nothing twice', async () => {
  const { store, url } = await createTestDatabase({ max: 12 })
  await store.query('create table effects (id text)')
  await writeHistory(store, 300)
  await openReplayOf(store, [slowly], { upto: 300n, ratePerSecond: 100 })
  const child = spawn(process.execPath, [join(import.meta.dirname, 'replaying-process.ts'), url], { stdio: 'inherit' })
  onTestFinished(() => void child.kill('SIGKILL'))
  const count = async () => Number((await store.query('select count(*) as n from effects')).rows[0]?.n)
  await until(async () => (await count()) > 20, { withinMs: 20_000 })
  child.kill('SIGKILL')
  await once(child, 'exit')
  expect(await count()).toBeLessThan(300)
  expect(await findReplay(store, 'r1')).toMatchObject({ status: 'running' })
  // Its lease would run out by itself, in 15 s.
  await store.query('update evt.replays set lease_until = clock_timestamp()')
  const left = (await findReplay(store, 'r1')) as Replay
  const unpaced = { ...left, selection: { ...left.selection, ratePerSecond: 100_000 } }
  expect(await runOnce(store, unpaced, [slowly])).toMatchObject({ end: 'done', handlers: [{ handled: 300, dead: 0 }] })
  expect((await store.query('select count(*)::int as n, count(distinct id)::int as ids from effects')).rows).toEqual([
    { n: 300, ids: 300 },
  ])
}, 40_000)
