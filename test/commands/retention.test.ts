import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { acquireLease, type Lease } from '../../src/store/lease.ts'
import { createTestDatabase } from '../setup/database.ts'
import { insertEvent, sequenceAll } from '../store/sequencer-writers.ts'
import { createNowhere, runHere } from './evt.ts'

const day = new Date(Date.now() - 3 * 86_400_000).toISOString().slice(0, 10)
const leaf = `outbox_short_${day.replaceAll('-', '')}`

/** Three events of three days ago, of a class that is kept for one, and a group that has not handled the last one. */
async function oldEvents() {
  const { store, url } = await createTestDatabase()
  const nowhere = createNowhere()
  onTestFinished(nowhere.dispose)
  const archive = mkdtempSync(join(tmpdir(), 'evt-archive-'))
  onTestFinished(() => rmSync(archive, { recursive: true, force: true }))
  const retention = { classes: { short: '1d' }, types: { 'thing.*': 'short' }, archive }
  writeFileSync(join(nowhere.path, 'evt.config.json'), JSON.stringify({ retention }))
  await store.query(`insert into evt.classes values ('short', 1)`)
  await store.query('select evt.make_partitions(evt.today() - 3, evt.today())')
  const lease = (await acquireLease(store, 'test', 60_000)) as Lease
  for (const n of [1, 2, 3]) await insertEvent(store.pool as never, 'a', n, { class: 'short', day })
  await store.query('select evt.look_everywhere()')
  await sequenceAll(store, lease.epoch)
  await store.query(`select evt.ensure_group('slow', 2, 2)`)
  const evt = (...words: string[]) => runHere(words, { store: url, cwd: nowhere.path })
  return { store, archive, evt }
}

it('retention names all who need a partition, once, with a remedy for each kind: one parked subject takes no handler away', async () => {
  const { store, evt } = await oldEvents()
  await store.query(`delete from evt.groups`)
  await store.query(
    `insert into evt.deliveries (handler, lane, subject, event_id, type, topic, at, position)
     select 'test.h' || n, 'log/0', 'a', 'a', 'thing.done', 'log', '1', 1 from generate_series(1, 5) n`,
  )
  const { exit, stdout, stderr } = await evt('retention', 'run', '--yes')
  expect(exit).toBe(5)
  for (const n of [1, 2, 3, 4, 5]) expect(stderr).toContain(`handler test.h${n} (retrying)`)
  expect(stderr).toContain('evt parked list')
  expect(stdout + stderr).not.toContain('groups remove')
  expect((stdout + stderr).split(`${leaf} stays`)).toHaveLength(2)
})

it('retention shows who needs what, refuses to drop it, drops it into an archive once they are gone, and brings it back', async () => {
  const { store, archive, evt } = await oldEvents()
  const shown = await evt('retention', 'show')
  expect(shown.stdout, shown.stderr).toContain(`${leaf}: stays, group slow still needs it`)
  expect(shown.stdout).toMatch(/short +1d/)
  const refused = await evt('retention', 'run', '--yes')
  // Other days of the class are empty and may go.
  expect(refused).toMatchObject({ exit: 5, stderr: expect.stringContaining('group slow still needs it') })
  expect(await evt('retention', 'run', '--yes')).toMatchObject({
    exit: 4,
    stderr: expect.stringContaining('groups remove'),
  })

  const listed = JSON.parse((await evt('groups', 'list', '--json')).stdout)
  expect(listed.data.readers).toMatchObject([
    { name: 'slow', kind: 'group', position: '2', lagEvents: 1, members: [], holds: [leaf] },
  ])
  expect(await evt('groups', 'remove', 'slow')).toMatchObject({
    exit: 4,
    stderr: expect.stringMatching(/would remove 1 group \(slow\)[\s\S]*1 events not passed/),
  })
  expect(await evt('groups', 'remove', 'slow', '--yes')).toMatchObject({ exit: 0 })

  const plan = await evt('retention', 'run', '--dry-run')
  expect(plan).toMatchObject({ exit: 0, stdout: expect.stringContaining(`would drop 1 partition`) })
  const ran = await evt('retention', 'run', '--yes', '--reason', 'tidy')
  expect(ran).toMatchObject({ exit: 0, stdout: expect.stringContaining('dropped 1, archived 1, kept 0') })
  expect(readdirSync(archive).sort()).toEqual([`short-${day}.json`, `short-${day}.ndjson.zst`])
  expect((await evt('tail', '*', '--since', 'start', '--no-follow', '-o', 'ndjson')).stdout).toBe('')

  const file = join(archive, `short-${day}.ndjson.zst`)
  expect(await evt('retention', 'restore', file)).toMatchObject({
    exit: 4,
    stderr: expect.stringContaining('3 events'),
  })
  expect(await evt('retention', 'restore', file, '--yes')).toMatchObject({
    exit: 0,
    stdout: expect.stringContaining('3 events are back'),
  })
  expect(await evt('retention', 'restore', file, '--yes')).toMatchObject({
    exit: 0,
    stdout: expect.stringContaining('was there'),
  })
  const lines = (await evt('tail', '*', '--since', 'start', '--no-follow', '-o', 'ndjson')).stdout.trimEnd().split('\n')
  expect(lines.map((line) => JSON.parse(line).id)).toEqual(['a#1', 'a#2', 'a#3'])
  expect((await evt('retention', 'show')).stdout).toContain(`restored: short of ${day}`)
  const { rows } = await store.query('select verb, affected::int from evt.audit order by id')
  expect(rows.map((row) => row.verb)).toContain('retention run')
  expect(rows).toContainEqual({ verb: 'groups remove', affected: 1 })
})

it('groups seek moves a stopped group, and says what is skipped or comes again', async () => {
  const { evt } = await oldEvents()
  expect(await evt('groups', 'seek', 'slow', '--to', 'now', '--dry-run')).toMatchObject({
    exit: 0,
    stdout: expect.stringContaining('would skip 1 events of group slow'),
  })
  expect(await evt('groups', 'seek', 'slow', '--to', 'position:1')).toMatchObject({
    exit: 4,
    stderr: expect.stringContaining('repeat 2 events'),
  })
  expect(await evt('groups', 'seek', 'slow', '--to', 'position:1', '--yes')).toMatchObject({
    exit: 0,
    stdout: expect.stringContaining('goes on after position 0'),
  })
  expect(await evt('groups', 'seek', 'slow', '--to', 'position:9', '--yes')).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('the log has 1 to 3'),
  })
})

it('EVENT_STORE_TTL_DAYS is how long the class default is kept', async () => {
  const { store, url } = await createTestDatabase()
  const nowhere = createNowhere()
  onTestFinished(nowhere.dispose)
  const env = { EVENT_STORE_TTL_DAYS: '1' }
  const leafOf = (ago: number) =>
    `outbox_default_${new Date(Date.now() - ago * 86_400_000).toISOString().slice(0, 10).replaceAll('-', '')}`
  await store.query('select evt.make_partitions(evt.today() - 3, evt.today())')
  expect((await runHere(['retention', 'show'], { store: url, cwd: nowhere.path, env })).stdout).toContain(
    `${leafOf(3)}: may go`,
  )
  await runHere(['retention', 'run', '--yes'], { store: url, cwd: nowhere.path, env })
  const { rows } = await store.query('select retention_days from evt.classes where class = $1', ['default'])
  expect(rows).toEqual([{ retention_days: 1 }])
  const { rows: left } = await store.query(`select to_regclass($1) as gone, to_regclass($2)::text as kept`, [
    `evt.${leafOf(3)}`,
    `evt.${leafOf(0)}`,
  ])
  expect(left).toEqual([{ gone: null, kept: `evt.${leafOf(0)}` }])
  const wrong = await runHere(['retention', 'show'], {
    store: url,
    cwd: nowhere.path,
    env: { EVENT_STORE_TTL_DAYS: 'soon' },
  })
  expect(wrong).toMatchObject({ exit: 2, stderr: expect.stringContaining('EVENT_STORE_TTL_DAYS') })
})
