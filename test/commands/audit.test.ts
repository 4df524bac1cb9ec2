import { userInfo } from 'node:os'
import { afterAll, expect, it } from 'vitest'
import type { TestDatabase } from '../setup/database.ts'
import { createNowhere, runHere } from './evt.ts'
import { createStoreFor, type Need } from './stores.ts'

const nowhere = createNowhere()
afterAll(() => nowhere.dispose())

async function storeFor(need: Need) {
  const database = (await createStoreFor(need)) as TestDatabase
  const evt = (words: readonly string[], store = database.url) => runHere(words, { store, cwd: nowhere.path })
  const audited = async () =>
    (await database.store.query('select who, verb, target, reason, affected::int, details from evt.audit order by id'))
      .rows
  return { database, evt, audited }
}
const who = userInfo().username

it('says who replayed which dead letters and why: one row for the whole replay, none for a dry run', async () => {
  const { evt, audited } = await storeFor('dead-letter')
  await evt(['dlq', 'replay', '--dry-run'])
  await evt(['dlq', 'replay', '--limit', '2', '--max-affected', '1', '--yes'])
  expect(await audited()).toEqual([])
  await evt(['dlq', 'replay', '--limit', '5', '--rate', '8', '--yes', '--reason', 'mended'])
  const details = { replayId: expect.any(String), maxReplays: 3 }
  expect(await audited()).toEqual([
    { ...{ who, verb: 'dlq replay', target: 'icons.user-preferences', reason: 'mended' }, affected: 5, details },
  ])
})

it('says who captured a table, with which options, and who stopped it', async () => {
  const { evt, audited } = await storeFor('application-table')
  await evt(['capture', 'add', 'users', '--mask', 'email', '--dry-run'])
  await evt(['capture', 'remove', 'users', '--yes'])
  await evt(['capture', 'add', 'nothing_here'])
  expect(await audited()).toEqual([])
  await evt(['capture', 'add', 'users', '--mask', 'email'])
  await evt(['capture', 'remove', 'users', '--yes', '--reason', 'moved'])
  expect(await audited()).toMatchObject([
    { who, verb: 'capture add', target: 'users', affected: 1, details: { table: 'users', mask: ['email'] } },
    { who, verb: 'capture remove', target: 'users', reason: 'moved', affected: 1 },
  ])
})

it('says who migrated, as long as there is a table to say it in', async () => {
  const { database, evt, audited } = await storeFor('empty-store')
  await evt(['migrate', 'up'])
  await evt(['migrate', 'up'])
  await evt(['migrate', 'down', '--yes', '--reason', 'a try'])
  const [up, down, ...more] = await audited()
  const { rows } = await database.store.query('select count(*)::int as left from evt.migrations where version > 0')
  expect(up).toMatchObject({ who, verb: 'migrate up', target: 'evt', affected: Number(rows[0]?.left) + 1 })
  expect(down).toMatchObject({ verb: 'migrate down', reason: 'a try', affected: 1 })
  expect(more).toEqual([])
  expect(await evt(['migrate', 'down', '--steps', '99', '--yes'])).toMatchObject({ exit: 0 })
})

it('undoes no migration under a bridge that runs', async () => {
  const { database, evt } = await storeFor('store')
  await database.store.query(
    `insert into evt.instances (instance, host, pid, version, roles, started_at, sample) values ('b-1', 'h', 1, '0', '{}', now(), '{}')`,
  )
  expect(await evt(['migrate', 'down', '--yes'])).toMatchObject({
    exit: 4,
    stderr: expect.stringContaining('b-1 runs on it'),
  })
  await database.store.query('update evt.instances set stopped_at = now()')
  expect(await evt(['migrate', 'down', '--yes'])).toMatchObject({ exit: 0 })
})

it('says who made events in a store that is not this machine, and nothing in one that is', async () => {
  const { database, evt, audited } = await storeFor('store')
  await evt(['gen', 'user.created', '--count', '3'])
  expect(await audited()).toEqual([])
  const { hostname } = new URL(database.url)
  const elsewhere = `${database.url}${database.url.includes('?') ? '&' : '?'}host=${hostname}`
  expect(await evt(['gen', 'user.created', '--count', '700'], elsewhere)).toMatchObject({ exit: 4 })
  expect(await audited()).toEqual([])
  expect(await evt(['gen', 'user.created', '--count', '700', '--yes', '--reason', 'load'], elsewhere)).toMatchObject({
    exit: 0,
  })
  expect(await audited()).toMatchObject([{ who, verb: 'gen', target: 'outbox', reason: 'load', affected: 700 }])
})
