import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { acquireLease } from '../../src/store/lease.ts'
import { createTestDatabase } from '../setup/database.ts'
import { insertEvent, sequenceAll } from '../store/sequencer-writers.ts'
import { isComplete, judge } from './ledger.ts'
import { createFaultTables } from './schema.ts'

it('the judge of the fault runs finds what is lost, phantom, doubled, out of order or out of the log', async () => {
  const { store } = await createTestDatabase()
  await createFaultTables(store, 1)
  const directory = mkdtempSync(join(tmpdir(), 'evt-ledger-'))
  onTestFinished(() => rmSync(directory, { recursive: true }))
  const file = join(directory, 'ledger')
  writeFileSync(file, 'C one\nC two\nC three\nC gone\nR undone\nU perhaps\n')
  const effect = (event: string, sequence: number) =>
    store.query(
      `insert into faults.effects (handler, event_id, subject, sequence, instance, attempt) values ('h', $1, 's', $2, '', 1)`,
      [event, sequence],
    )
  await effect('one', 1)
  await effect('three', 3)
  await effect('two', 2)
  await effect('two', 2)
  await effect('undone', 3)
  await effect('unheard', 4)
  await effect('perhaps', 5)
  expect(await isComplete(store, file, ['h'])).toBe(false)
  expect(await judge(store, file, ['h'])).toEqual({
    committed: 4,
    unknown: 1,
    lost: ['h gone'],
    phantom: ['h undone', 'h unheard'],
    duplicated: ['h two'],
    reordered: ['h s: 1 → 3', 'h s: 3 → 2', 'h s: 2 → 2'],
    sequencing: [],
    dead: 0,
  })

  const lease = await acquireLease(store, 'test', 60_000)
  for (let n = 1; n <= 3; n += 1) await insertEvent(store.pool as never, 'a', n)
  await sequenceAll(store, lease?.epoch ?? 0n)
  await store.query(`alter table evt.log disable trigger refuse_change; update evt.log set position = 5 where position = 3;
    insert into evt.log select (jsonb_populate_record(log, '{"position": 6}')).* from evt.log log where position = 2`)
  const { sequencing } = await judge(store, file, ['h'])
  expect(sequencing).toEqual(['4 events up to position 6', '1 events were sequenced twice'])
})
