import { describe, expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../../src/bridge.ts'
import { icons } from '../../../src/services/icons/service.ts'
import { createTraffic } from '../../../src/services/icons/traffic.ts'
import { createTestDatabase } from '../../setup/database.ts'
import { until } from '../../setup/until.ts'

describe('the icon service in a bridge', () => {
  it('follows the application, and has dead letters of several causes from what was poisoned', async () => {
    const { store } = await createTestDatabase()
    const bridge = createBridge({ store, services: [icons] })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    const signal = new AbortController().signal
    await createTraffic({ database: store, seed: 9, ratePerSecond: 400, poisonRatio: 0.3, count: 150, signal }).run()

    const one = async (text: string) => Number((await store.query(`select (${text})::int as n`)).rows[0]?.n)
    const differing = `select count(*) from app.users full join (select * from icons.users where deleted_at is null) copy
      on copy.user_id = app.users.id where (app.users.name, app.users.plan) is distinct from (copy.name, copy.plan)`
    await until(async () => (await one(differing)) === 0, { withinMs: 15_000 })
    const causes = 'select count(distinct (handler, error_class)) from evt.dead_letters'
    await until(async () => (await one(causes)) >= 3, { withinMs: 15_000 })
    const { rows } = await store.query('select distinct handler, error_class from evt.dead_letters order by 1, 2')
    expect(
      rows.filter(({ handler }) => !/^icons\.(usage|preferences|configuration|recommendations)$/.test(String(handler))),
    ).toEqual([])
    expect(await one('select count(*) from icons.document_icons')).toBeGreaterThan(10)
  })
})
