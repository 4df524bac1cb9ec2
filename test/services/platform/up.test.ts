import { expect, it, onTestFinished } from 'vitest'
import { createNowhere, start } from '../../commands/evt.ts'
import { createTestDatabase } from '../../setup/database.ts'

it('evt up runs commerce and platform on an empty store', async () => {
  const { store, url } = await createTestDatabase()
  const nowhere = createNowhere()
  onTestFinished(nowhere.dispose)
  const running = start(['up', '--services', 'commerce,platform'], { store: url, cwd: nowhere.path })
  await running.said(/is up on .*9 handlers \(1 of sagas\)/)
  const { rows } = await store.query(
    "select count(*)::int as n from pg_tables where schemaname in ('commerce', 'platform')",
  )
  expect(rows).toEqual([{ n: 18 }])
  running.signal('SIGTERM')
  expect(await running.ended).toMatchObject({ exit: 0 })
})
