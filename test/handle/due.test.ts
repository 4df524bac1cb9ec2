import { expect, it } from 'vitest'
import { readDue } from '../../src/store/due.ts'
import { createTestDatabase } from '../setup/database.ts'

it('what is due of one handler is found although another has more overdue than one look takes', async () => {
  const { store } = await createTestDatabase()
  const insert = `insert into evt.deliveries (handler, lane, subject, event_id, type, topic, at, next_at)
    select $1, 'log/0', 's' || n, 'e' || n, 'thing.done', 'log', n::text, now() - $3::int * interval '1 second'
    from generate_series(1, $2::int) as n`
  await store.query(insert, ['slow', 3000, 3600])
  await store.query(insert, ['quick', 1, 1])
  await store.query(
    `insert into evt.parked_subjects (handler, subject, lane, freed_at) values ('quick', 'freed', 'log/0', now())`,
  )
  const places = ['slow', 'quick'].map((handler) => ({ handler, lane: 'log/0' }))
  const due = await readDue(store, places, 1000)
  expect(due.filter(({ handler }) => handler === 'quick').map(({ subject }) => subject)).toEqual(['s1', 'freed'])
  expect(due.length).toBeLessThan(2000)
  expect(due[0]).toMatchObject({ handler: 'slow', lane: 'log/0' })
})
