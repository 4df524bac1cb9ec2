import { afterAll, describe, expect, it } from 'vitest'
import { createAudit } from '../../src/store/audit.ts'
import { createTestDatabase } from '../setup/database.ts'
import { createNowhere, runHere } from './evt.ts'

const nowhere = createNowhere()
afterAll(() => nowhere.dispose())

async function storeWith(...statements: readonly string[]) {
  const database = await createTestDatabase()
  for (const statement of statements) await database.store.query(statement)
  const evt = (...words: string[]) => runHere(words, { store: database.url, cwd: nowhere.path })
  return { ...database, evt }
}

describe('evt audit list', () => {
  it('shows the newest first, by who, what, to what, when, and what was denied', async () => {
    const { store, evt } = await storeWith()
    const entries = [
      { who: 'ada', verb: 'dlq replay', target: 'mail.welcome', reason: 'mended' },
      { who: 'bob', verb: 'dlq purge', target: 'mail.welcome' },
      { who: 'token ci', verb: 'http denied', target: 'POST /events', reason: 'it may not publish order.placed' },
    ]
    for (const entry of entries) await store.transaction((sql) => createAudit(entry)(sql, 3))
    const listed = async (...words: string[]) => {
      const { stdout } = await evt('audit', 'list', '--json', ...words)
      return (JSON.parse(stdout) as { data: { entries: { verb: string }[] } }).data.entries.map(({ verb }) => verb)
    }
    expect(await listed()).toEqual(['http denied', 'dlq purge', 'dlq replay'])
    expect(await listed('--verb', 'dlq')).toEqual(['dlq purge', 'dlq replay'])
    expect(await listed('--verb', 'dlq purge')).toEqual(['dlq purge'])
    expect(await listed('--who', 'ada')).toEqual(['dlq replay'])
    expect(await listed('--of', 'mail.welcome')).toEqual(['dlq purge', 'dlq replay'])
    expect(await listed('--denied')).toEqual(['http denied'])
    expect(await listed('--until', '1h')).toEqual([])
    expect(await listed('--since', '1h')).toHaveLength(3)
    const { stdout, stderr } = await evt('audit', 'list', '--limit', '1')
    expect(stdout).toContain('it may not publish order.placed')
    expect(stderr).toContain('there are more than 1')
    expect(await evt('audit', 'list', '--since', 'position:3')).toMatchObject({ exit: 2 })
  })
})

describe('evt alerts list', () => {
  it('shows what fires, since when and why; what is over when asked', async () => {
    const { evt } = await storeWith(
      `insert into evt.alerts values ('latency-spike', 'mail.welcome', 'warning', 'firing', now() - interval '5 minutes', now(), null, now(), 7.5,
        'handler.latencyScore is 7.5')`,
      `insert into evt.alerts values ('generation-stopped', '', 'critical', 'resolved', now(), now(), now(), now(), 0, 'x')`,
    )
    const { stdout } = await evt('alerts', 'list')
    expect(stdout).toMatch(/firing +warning +latency-spike +mail\.welcome +5m.* +handler\.latencyScore is 7\.5/)
    expect(stdout).not.toContain('generation-stopped')
    const json = JSON.parse((await evt('alerts', 'list', '--all', '--json')).stdout) as { data: { alerts: object[] } }
    expect(json.data.alerts).toMatchObject([
      { alert: 'latency-spike', key: 'mail.welcome', state: 'firing', value: 7.5, resolvedAt: null },
      { alert: 'generation-stopped', state: 'resolved' },
    ])
  })

  it('says so when nothing fires', async () => {
    const { evt } = await storeWith()
    expect(await evt('alerts', 'list')).toMatchObject({ exit: 0, stdout: expect.stringContaining('no alert fires') })
  })
})
