import { afterAll, expect, it } from 'vitest'
import { acquireLease, releaseLease } from '../../src/store/lease.ts'
import type { TestDatabase } from '../setup/database.ts'
import { createNowhere, runHere } from './evt.ts'
import { sequence } from './sequence.ts'
import { createStoreFor } from './stores.ts'

const nowhere = createNowhere()
afterAll(() => nowhere.dispose())

it('relay status and rebase: what is the matter, what would be done, that it was done; nothing under a leader', async () => {
  const { store, url } = (await createStoreFor('store')) as TestDatabase
  const evt = (...words: string[]) => runHere(words, { store: url, cwd: nowhere.path })
  await store.query(`select evt.publish('thing.done', '{}', id => 'placed')`)
  await sequence(store)
  const lease = await acquireLease(store, 'evt-leads', 60_000)
  if (!lease) throw new Error('no lease')
  const led = await evt('relay', 'status')
  expect(led).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^leader +evt-leads, epoch \d+$/m) })
  expect(await evt('relay', 'rebase', '--yes')).toMatchObject({
    ...{ exit: 4, stderr: expect.stringContaining('cannot rebase the relay: evt-leads leads') },
  })
  await releaseLease(store, lease)

  await store.query(`select evt.ensure_group('mail.welcome', 1, 40)`)
  const beyond = await evt('relay', 'status')
  expect(beyond).toMatchObject({
    exit: 1,
    stdout: expect.stringContaining('beyond    group mail.welcome stands at 40\n'),
  })
  expect(beyond.stderr).toContain('evt relay rebase --dry-run')
  await store.query('delete from evt.groups')

  await store.query('update evt.relay set timeline = timeline + 7')
  for (const id of ['x', 'y', 'z', 'zz']) await store.query(`select evt.publish('thing.done', '{}', id => $1)`, [id])
  const lost = await evt('relay', 'status')
  expect(lost).toMatchObject({ exit: 1, stderr: expect.stringContaining('evt relay rebase --dry-run') })
  expect(lost.stdout).toMatch(/timeline 8; this is cluster \d+ timeline 1$/m)
  const { stdout: plan } = await evt('relay', 'rebase', '--dry-run')
  expect(plan).toContain('the log ends at 1, and goes on after 2000000\n')
  expect(plan).toContain('4 events of the outbox have no position: x, y, z, …\n')
  expect((await store.query('select from evt.audit')).rows).toEqual([])

  const done = await evt('relay', 'rebase', '--beyond', '500', '--yes', '--reason', 'fail-over')
  expect(done).toMatchObject({ exit: 0, stdout: expect.stringContaining('the log goes on after 500; 4 events') })
  await sequence(store)
  expect((await store.query('select position::int from evt.log order by 1')).rows.map((row) => row.position)).toEqual([
    1, 501, 502, 503, 504,
  ])
  expect((await store.query('select verb, reason, affected::int, details from evt.audit')).rows).toMatchObject([
    {
      verb: 'relay rebase',
      reason: 'fail-over',
      affected: 1,
      details: { head: '1', unplaced: 4, to: { timeline: '1' } },
    },
  ])
})
