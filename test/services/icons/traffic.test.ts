import { describe, expect, it } from 'vitest'
import type { EvtEvent } from '../../../src/core/event.ts'
import { createRegistry } from '../../../src/core/registry.ts'
import { userRegistered } from '../../../src/services/accounts/contracts.ts'
import { captures } from '../../../src/services/icons/captures.ts'
import { contracts } from '../../../src/services/icons/contracts.ts'
import { createTraffic, type TrafficOptions, type TrafficSql } from '../../../src/services/icons/traffic.ts'
import { addCapture } from '../../../src/store/capture.ts'
import type { Store } from '../../../src/store/connection.ts'
import { type IconsDatabase, openIconsDatabase } from './icons-database.ts'

/** The application speaks to both services. */
const registry = createRegistry([...contracts, userRegistered])
const usual = { seed: 5, ratePerSecond: 1e6, poisonRatio: 0.05, count: 350, signal: new AbortController().signal }

async function openDemo(): Promise<IconsDatabase> {
  const icons = await openIconsDatabase()
  for (const capture of captures) await addCapture(icons.store, capture)
  return icons
}

async function eventsOf(store: Store): Promise<EvtEvent[]> {
  const { rows } = await store.query('select * from evt.outbox order by seq')
  return rows.map((row) => ({
    id: String(row.id),
    type: String(row.type),
    version: Number(row.version),
    source: String(row.source),
    time: (row.time as Date).toISOString(),
    ...(row.subject === null ? {} : { subject: String(row.subject) }),
    priority: 'normal',
    metadata: {},
    data: row.data,
  }))
}

describe('the traffic of the demo', () => {
  it('fills the tables, whose captured events fit their contracts and leave the icon service in step', async () => {
    const icons = await openDemo()
    const errors: unknown[] = []
    const counts = await createTraffic({ ...usual, database: icons.store }).run((error) => errors.push(error))
    expect(errors).toEqual([])
    expect(counts.committed + counts.rolledBack).toBe(usual.count)
    expect(counts.rolledBack).toBeGreaterThan(5)
    expect(counts.poisoned).toBeGreaterThan(5)

    const events = await eventsOf(icons.store)
    for (const event of events) registry.validate(event)
    const types = new Set(events.map(({ type }) => type))
    for (const type of ['user.created', 'user.updated', 'user.suspended', 'user.deleted', 'auth.login'])
      expect(types).toContain(type)
    for (const type of ['document.created', 'document.updated', 'document.published']) expect(types).toContain(type)
    expect(types).toContain('system_setting.updated')

    // Accounts hears of everybody whom it sees log in, and mostly from where it knows them.
    const said = (type: string) => events.filter((event) => event.type === type)
    const idsOf = (some: readonly EvtEvent[]) => new Set(some.map(({ data }) => (data as { user_id: string }).user_id))
    const logins = said('auth.login')
    const places = new Map<string, Set<string>>()
    for (const { subject = '', data } of logins) {
      const { ip } = (data as { auth_data: { ip: string } }).auth_data
      places.set(subject, (places.get(subject) ?? new Set()).add(ip))
    }
    const strange = [...places.values()].reduce((sum, { size }) => sum + size - 1, 0)
    expect([...idsOf(logins)].filter((id) => !idsOf(said('user.registered')).has(id))).toEqual([])
    expect(strange).toBeLessThan(logins.length / 5)
    expect(idsOf(said('user.registered'))).toEqual(idsOf(said('user.created')))

    const causes = new Set<string>()
    for (const event of events) {
      for (const { handler, error } of await icons.handle(event)) if (error) causes.add(`${handler}: ${error.name}`)
    }
    expect([...causes].filter((cause) => cause.startsWith('icons.usage'))).toEqual(['icons.usage: IconMarkupError'])
    expect([...causes].some((cause) => cause.startsWith('icons.preferences'))).toBe(true)
    const allowed = /^icons\.(usage|recommendations|preferences)/
    expect([...causes].filter((cause) => !allowed.test(cause))).toEqual([])
    const differing = await icons.rows(
      `select id from app.users full join (select * from icons.users where deleted_at is null) copy on copy.user_id = id
       where (app.users.name, app.users.plan, app.users.role, app.users.is_active)
         is distinct from (copy.name, copy.plan, copy.role, copy.is_active)`,
    )
    expect(differing).toEqual([])
    const [known] = await icons.rows('select count(*)::int as users from icons.users where deleted_at is null')
    expect(known?.users).toBeGreaterThan(20)
    const [log] = await icons.rows('select count(*)::int as events from icons.event_log')
    expect(log?.events).toBe(events.length)
  })

  it('is the same for the same seed', async () => {
    const statementsOf = async (seed: number) => {
      const statements: unknown[] = []
      const sql: TrafficSql = { query: async (text, values) => ({ rows: [], at: statements.push([text, values]) }) }
      const database: TrafficOptions['database'] = { transaction: (work) => work(sql) }
      await createTraffic({ ...usual, seed, database }).run()
      return JSON.stringify(statements)
    }
    const once = await statementsOf(5)
    expect(await statementsOf(5)).toBe(once)
    expect(await statementsOf(6)).not.toBe(once)
  })

  it('goes on after a transaction that fails, and ends when it is told to', async () => {
    const controller = new AbortController()
    let begun = 0
    const database: TrafficOptions['database'] = {
      transaction: async () => {
        begun += 1
        if (begun === 20) controller.abort()
        throw new Error('down')
      },
    }
    const errors: unknown[] = []
    const options = { ...usual, count: 1_000, database, signal: controller.signal }
    const counts = await createTraffic(options).run((error) => errors.push(error))
    expect([begun, counts.failed, errors.length]).toEqual([20, 20, 20])
  })

  it('begins no more transactions than its rate, also when it was held up before', async () => {
    const starts: number[] = []
    let held = false
    const database: TrafficOptions['database'] = {
      transaction: async <T>(): Promise<T> => {
        starts.push(performance.now())
        if (!held) await new Promise((resolve) => setTimeout(resolve, 200))
        held = true
        return undefined as T
      },
    }
    await createTraffic({ ...usual, count: 21, ratePerSecond: 100, database }).run()
    const [, second = 0] = starts
    expect((starts.at(-1) ?? 0) - second).toBeGreaterThan(170)
  })
})
