import { describe, expect, it, onTestFinished } from 'vitest'
import { createNowhere, runHere } from '../commands/evt.ts'
import { createTestDatabase } from '../setup/database.ts'

const table = `create schema if not exists shop; create table shop.dead_letter_queue (
  id bigserial primary key, event_id text, event_name text, aggregate_id text, event_data jsonb, handler_name text,
  error_message text, retry_count int, first_failed_at timestamptz default now(), last_failed_at timestamptz default now())`

/** As the event bus guide's system leaves them: 600 of one cause, one whose data is null. */
async function guideTable() {
  const database = await createTestDatabase({ max: 3 })
  await database.store.query(table)
  await database.store.query(
    `insert into shop.dead_letter_queue (event_id, event_name, aggregate_id, event_data, handler_name, error_message, retry_count)
     select 'e' || n, 'user.registered', 'user/' || n, jsonb_build_object('n', n), 'welcome-email', 'SMTP said 4' || n, 3
     from generate_series(1, 600) n union all select 'odd', 'user.deleted', null, null, null, null, null`,
  )
  const nowhere = createNowhere()
  onTestFinished(nowhere.dispose)
  const url = new URL(database.url)
  url.searchParams.set('table', 'shop.dead_letter_queue')
  const evt = (...words: string[]) =>
    runHere(['dlq', ...words, '-s', url.href], { cwd: nowhere.path, store: database.url })
  const left = async () =>
    Number((await database.store.query('select count(*) from shop.dead_letter_queue')).rows[0]?.count)
  return { database, evt, left, url }
}

describe('a dead-letter table of another system', () => {
  it('is listed by cause, past a page of rows, and stays as it is', async () => {
    const { evt, left } = await guideTable()
    const { data } = JSON.parse((await evt('list', '--json')).stdout)
    expect(data.causes).toMatchObject([
      { count: 600, handler: 'welcome-email', type: 'user.registered', attempts: 1800 },
      { count: 1, type: 'user.deleted' },
    ])
    const shown = JSON.parse((await evt('show', '7', '--json')).stdout).data
    expect(shown).toMatchObject({
      eventId: 'e7',
      event: { type: 'user.registered', subject: 'user/7', data: { n: 7 } },
    })
    expect(await left()).toBe(601)
  })

  it('replays rows into the log of its database, each with the removal of its row', async () => {
    const { database, evt, left } = await guideTable()
    const ran = await evt('replay', '--ids', '3,4', '--yes', '--settle', '100ms', '--json')
    expect(JSON.parse(ran.stdout).data).toMatchObject({ replayed: 2, unknown: 2 })
    expect(ran.exit).toBe(5)
    expect(await left()).toBe(599)
    const { rows } = await database.store.query(
      "select id, subject from evt.outbox where type = 'user.registered' order by seq",
    )
    expect(rows).toMatchObject([{ id: 'e3', subject: 'user/3' }, { id: 'e4' }])
    expect((await evt('replay', '--ids', '3', '--yes')).exit).toBe(2)
  })

  it('says that they go to the log of the store, whose handlers it does not see', async () => {
    const { evt } = await guideTable()
    const plan = await evt('replay', '--ids', '3', '--dry-run')
    expect(plan.stdout).toMatch(/they go to the log of the store in postgres:/)
    const { stderr } = await evt('replay', '--ids', '3', '--yes', '--settle', '0s')
    expect(stderr).toMatch(/handed to the log of the store in .*handlers may read a sink[\s\S]*`evt dlq list`/)
    expect(stderr).not.toContain('no group reads the topic')
  })

  it('wants no schema of evt in a database that is no store', async () => {
    const { database, evt, left } = await guideTable()
    await database.store.query('drop schema evt cascade')
    const ran = await evt('replay', '--ids', '3', '--yes', '--settle', '0s')
    expect(ran).toMatchObject({ exit: 2, stderr: expect.stringMatching(/which holds no store\n.*EVT_STORE/) })
    expect(ran.stderr).not.toContain('migrate')
    expect(await left()).toBe(601)
  })

  it('keeps a row that cannot be replayed', async () => {
    const { database, evt, left } = await guideTable()
    await database.store.query("update shop.dead_letter_queue set event_name = 'no good name!' where id = 5")
    const ran = await evt('replay', '--ids', '5', '--yes', '--settle', '100ms')
    expect(ran.exit).toBe(5)
    expect(ran.stdout).toContain('refused 1')
    expect(await left()).toBe(601)
  })

  it('says which column is missing, and which table', async () => {
    const { database, url } = await guideTable()
    const nowhere = createNowhere()
    onTestFinished(nowhere.dispose)
    await database.store.query('alter table shop.dead_letter_queue drop column event_data')
    const list = (name: string) => {
      url.searchParams.set('table', name)
      return runHere(['dlq', 'list', '-s', url.href], { cwd: nowhere.path })
    }
    expect((await list('shop.dead_letter_queue')).stderr).toContain('it has no column event_data or payload')
    expect((await list('shop.nothing')).stderr).toContain('it does not exist')
    expect((await list('a;b')).stderr).toContain('it is no name')
  })
})
