import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../src/index.ts'
import { createTestDatabase } from './setup/database.ts'
import { until } from './setup/until.ts'

it('a bridge writes down how long which events are kept, and archives and drops the others', async () => {
  const { store, url } = await createTestDatabase()
  const archive = mkdtempSync(join(tmpdir(), 'evt-archive-'))
  onTestFinished(() => rmSync(archive, { recursive: true, force: true }))
  await store.query('select evt.make_partitions(evt.today() - 9, evt.today())')
  const { rows } = await store.query(`insert into evt.outbox (id, type, source, data, day)
    values ('old', 'user.created', 'test', '{}', evt.today() - 9) returning day::text, replace(day::text, '-', '') as name`)
  const retention = { keep: '8d', classes: { short: '3d' }, types: { 'debug.*': 'short' }, archive }
  const bridge = createBridge({ store: url, retention, roles: ['relay'] })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  await store.query(`select evt.publish('debug.seen', '{}')`)
  const kept = await store.query('select class from evt.outbox where type = $1', ['debug.seen'])
  expect(kept.rows).toEqual([{ class: 'short' }])
  const days = await store.query(
    `select class, retention_days as days from evt.classes where class in ('default', 'short') order by 1`,
  )
  expect(days.rows).toEqual([
    { class: 'default', days: 8 },
    { class: 'short', days: 3 },
  ])
  await until(async () => (await store.query('select evt.head() as head')).rows[0]?.head === '2', { withinMs: 20_000 })
  // The upkeep of the next leader finds it sequenced.
  await bridge.stop()
  const next = createBridge({ store: url, retention, roles: ['relay'] })
  onTestFinished(() => next.stop())
  await next.start()
  const gone = async () =>
    (await store.query('select to_regclass($1) is null as gone', [`evt.outbox_default_${rows[0]?.name}`])).rows[0]?.gone
  await until(gone, { withinMs: 20_000 })
  expect(readdirSync(archive).sort()).toEqual([`default-${rows[0]?.day}.json`, `default-${rows[0]?.day}.ndjson.zst`])
})

it('a bridge refuses what cannot be said about retention', async () => {
  const { url } = await createTestDatabase()
  const bridge = createBridge({ store: url, retention: { types: { 'debug.*': 'shrot' } }, roles: ['relay'] })
  await expect(bridge.start()).rejects.toMatchObject({
    code: 'config',
    message: expect.stringContaining('no class shrot'),
  })
})
