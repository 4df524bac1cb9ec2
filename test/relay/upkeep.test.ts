import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { keepUp } from '../../src/relay/upkeep.ts'
import { acquireLease, type Lease } from '../../src/store/lease.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { insertEvent, sequenceAll } from '../store/sequencer-writers.ts'

it('what cannot be archived stays, with a warning; as soon as it can, it is archived and dropped', async () => {
  const { store } = await createTestDatabase()
  const directory = mkdtempSync(join(tmpdir(), 'evt-upkeep-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  const archive = join(directory, 'archive')
  writeFileSync(archive, 'no directory')
  await store.query('select evt.make_partitions(evt.today() - 40, evt.today() - 40)')
  const lease = (await acquireLease(store, 'test', 60_000)) as Lease
  const { rows } = await store.query('select (evt.today() - 40)::text as day')
  await insertEvent(store.pool as never, 'a', 1, { day: rows[0]?.day })
  await store.query('select evt.look_everywhere()')
  await sequenceAll(store, lease.epoch)
  const said: { level: string; message: string; fields: object | undefined }[] = []
  const say = (level: string) => (message: string, fields?: object) => void said.push({ level, message, fields })
  const log = { debug: say('debug'), info: say('info'), warn: say('warn'), error: say('error') }
  const upkeep = keepUp(store, { log, everyMs: 20, archive })
  await until(() => said.some(({ level, message }) => level === 'warn' && message === 'nothing is dropped by age'))
  expect(said.find(({ level }) => level === 'warn')?.fields).toMatchObject({
    hint: expect.stringContaining('make room'),
  })
  rmSync(archive)
  const changed = await until(() => said.find(({ message }) => message === 'partitions changed'))
  await upkeep.stop()
  expect(changed.fields).toMatchObject({ archived: [{ class: 'default', events: 1 }] })
})
