import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EvtEvent } from '../../../src/core/event.ts'
import { at, complement, type IconsDatabase, type Outcome, openIconsDatabase } from './icons-database.ts'

let icons: IconsDatabase
beforeAll(async () => {
  icons = await openIconsDatabase()
})
afterAll(() => icons[Symbol.asyncDispose]())

const [user, document] = [() => randomUUID(), () => randomUUID()]

const userEvent = (verb: string, user_id: string, second: number, change: object = {}): EvtEvent =>
  complement({
    type: `user.${verb}`,
    subject: `user/${user_id}`,
    time: at(second),
    data: {
      user_id,
      user_data: {
        email: 'ada@example.com',
        name: 'Ada',
        plan: 'free',
        role: 'editor',
        country: 'GB',
        is_active: verb !== 'suspended',
        created_at: at(0),
        updated_at: at(second),
        ...change,
      },
      changes: [],
    },
  })

const documentEvent = (
  verb: string,
  ids: { document: string; user: string },
  second: number,
  content: string,
): EvtEvent =>
  complement({
    type: `document.${verb}`,
    subject: `document/${ids.document}`,
    time: at(second),
    data: {
      document_id: ids.document,
      user_id: ids.user,
      document_data: {
        title: 'Plan',
        content,
        is_public: verb === 'published',
        created_at: at(0),
        updated_at: at(second),
      },
      changes: [],
    },
  })

const systemEvent = (type: string, second: number, system_data: object, more: object = {}): EvtEvent =>
  complement({ type, time: at(second), data: { ...more, system_data } })

async function succeed(...events: readonly EvtEvent[]): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = []
  for (const event of events) outcomes.push(...(await icons.handle(event)))
  for (const { handler, error } of outcomes) if (error) throw new Error(`${handler} failed`, { cause: error })
  return outcomes
}

const publishedBy = (outcomes: readonly Outcome[], handler: string) =>
  outcomes.filter((one) => one.handler === handler).flatMap((one) => one.published)

describe('a new user', () => {
  it('is copied, gets preferences by plan, and permissions by role', async () => {
    const id = user()
    await succeed(userEvent('created', id, 1, { plan: 'pro' }))
    expect(await icons.rows('select name, plan, is_active from icons.users where user_id = $1', id)).toEqual([
      { name: 'Ada', plan: 'pro', is_active: true },
    ])
    expect(await icons.rows('select icon_size, contact from icons.preferences where user_id = $1', id)).toEqual([
      { icon_size: 32, contact: 'ada@example.com' },
    ])
    expect(await icons.rows('select granted from icons.permissions where user_id = $1', id)).toEqual([
      { granted: ['read', 'write', 'share'] },
    ])
  })

  it('of version 1 is taken as a free viewer', async () => {
    const id = user()
    const user_data = { email: 'old@example.com', is_active: true, created_at: at(0) }
    await succeed(complement({ type: 'user.created', version: 1, time: at(0), data: { user_id: id, user_data } }))
    expect(await icons.rows('select name, plan, role from icons.users where user_id = $1', id)).toEqual([
      { name: 'old', plan: 'free', role: 'viewer' },
    ])
  })

  it('with a plus address fails in preferences, by the constraint, and nowhere else', async () => {
    const outcomes = await icons.handle(userEvent('created', user(), 1, { email: 'ada+x@example.com' }))
    const failed = outcomes.filter(({ error }) => error)
    expect(failed.map(({ handler }) => handler)).toEqual(['icons.preferences'])
    expect(failed[0]?.error?.message).toContain('preferences_contact_check')
  })
})

describe('a changed user', () => {
  it('is copied, and the caches about it become invalid once a change', async () => {
    const id = user()
    await succeed(
      userEvent('created', id, 1),
      userEvent('updated', id, 2, { name: 'Eve' }),
      userEvent('updated', id, 3),
    )
    expect(await icons.rows('select generation, reason from icons.cache where key = $1', id)).toEqual([
      { generation: 2, reason: 'user.updated' },
    ])
  })

  it('that is suspended may nothing any more', async () => {
    const id = user()
    await succeed(userEvent('created', id, 1), userEvent('suspended', id, 2))
    expect(await icons.rows('select granted from icons.permissions where user_id = $1', id)).toEqual([{ granted: [] }])
    expect(await icons.rows('select is_active from icons.users where user_id = $1', id)).toEqual([{ is_active: false }])
  })

  it('is not set back by an older event, nor brought back after its end', async () => {
    const id = user()
    const older = userEvent('updated', id, 2, { name: 'Older', role: 'viewer' })
    await succeed(userEvent('updated', id, 3, { name: 'Newer', role: 'admin' }), older)
    expect(await icons.rows('select name from icons.users where user_id = $1', id)).toEqual([{ name: 'Newer' }])
    expect(await icons.rows('select granted[4] as most from icons.permissions where user_id = $1', id)).toEqual([
      { most: 'manage' },
    ])
    await succeed(userEvent('deleted', id, 4), older, userEvent('updated', id, 5))
    expect(await icons.rows('select deleted_at from icons.users where user_id = $1', id)).toEqual([
      { deleted_at: new Date(at(4)) },
    ])
  })

  it('that is deleted leaves no preferences, sessions or usage, and the caches hear of it', async () => {
    const [id, file] = [user(), document()]
    const login = { session_id: randomUUID(), ip: '10.0.0.1', user_agent: 'x' }
    await succeed(
      userEvent('created', id, 1),
      complement({ type: 'auth.login', time: at(2), data: { user_id: id, auth_data: login } }),
      documentEvent('created', { document: file, user: id }, 3, ':leaving:'),
    )
    const outcomes = await succeed(userEvent('deleted', id, 4))
    for (const table of ['preferences', 'sessions', 'document_icons']) {
      expect(await icons.rows(`select from icons.${table} where user_id = $1`, id)).toEqual([])
    }
    expect(publishedBy(outcomes, 'icons.clean-up')).toMatchObject([
      { type: 'system.cache_invalidated', data: { system_data: { scope: 'user', key: id } } },
    ])
    // The document's last event comes later, in another lane.
    await succeed(documentEvent('updated', { document: file, user: id }, 5, ':leaving:'))
    expect(await icons.rows('select from icons.document_icons where user_id = $1', id)).toEqual([])
  })

  it('that is deleted leaves nothing also where one handler is far behind the others', async () => {
    const id = user()
    const auth_data = { session_id: randomUUID(), ip: '10.0.0.1', user_agent: 'x' }
    const events = [
      userEvent('created', id, 1),
      complement({ type: 'auth.login', time: at(2), data: { user_id: id, auth_data } }),
      userEvent('deleted', id, 3),
    ]
    for (const handler of ['icons.clean-up', 'icons.preferences', 'icons.sessions'])
      for (const event of events) await icons.handle(event, handler)
    for (const table of ['preferences', 'sessions'])
      expect(await icons.rows(`select from icons.${table} where user_id = $1`, id)).toEqual([])
  })
})

describe('a user who has left', () => {
  const traces = (id: string) =>
    icons.rows(
      `select 'preferences' as kept from icons.preferences where user_id = $1
        union all select 'session' from icons.sessions where user_id = $1
        union all select 'usage' from icons.document_icons where user_id = $1
        union all select 'usage' from icons.usage_minutes where user_id = $1
        union all select 'title' from icons.documents where user_id = $1 and title <> ''
        union all select 'permission' from icons.permissions where user_id = $1 and granted <> '{}'
        union all select 'name' from icons.users where user_id = $1 and (email <> '' or name <> '')`,
      id,
    )

  it('comes back by no older event, as of a dead letter that is replayed', async () => {
    const id = user()
    const auth_data = { session_id: randomUUID(), ip: '10.0.0.1', user_agent: 'x' }
    await succeed(
      userEvent('deleted', id, 9),
      userEvent('created', id, 1),
      complement({ type: 'auth.login', time: at(2), data: { user_id: id, auth_data } }),
      documentEvent('created', { document: document(), user: id }, 3, ':leaving:'),
    )
    expect(await traces(id)).toEqual([])
  })

  it('or whose account was, has no session, nor gets one again', async () => {
    const id = user()
    const auth_data = { session_id: randomUUID(), ip: '10.0.0.1', user_agent: 'x' }
    const login = complement({ type: 'auth.login', time: at(2), data: { user_id: id, auth_data } })
    await succeed(login, complement({ type: 'account.deleted', time: at(1), data: { user_id: id } }), login)
    expect(await traces(id)).toEqual([])
  })

  it('is gone however far each handler is, and whatever the clocks of those who say so', async () => {
    const id = user()
    const deleted = userEvent('deleted', id, 5)
    await succeed(
      userEvent('created', id, 1),
      userEvent('updated', id, 9),
      documentEvent('created', { document: document(), user: id }, 2, ':leaving:'),
    )
    await icons.handle(deleted, 'icons.clean-up')
    await succeed(documentEvent('created', { document: document(), user: id }, 4, ':leaving:'))
    await succeed(deleted)
    expect(await traces(id)).toEqual([])
  })
})

describe('a session', () => {
  it('goes from login to logout, with the permissions that it was given in between', async () => {
    const [id, session_id] = [user(), randomUUID()]
    const auth = (type: string, second: number, more: object = {}) =>
      complement({
        type: `auth.${type}`,
        time: at(second),
        data: { user_id: id, auth_data: { session_id, ip: '10.0.0.1', user_agent: 'x', ...more }, changes: [] },
      })
    await succeed(
      auth('login', 1),
      auth('session_changed', 2, { permissions: ['read', 'share'] }),
      auth('logout', 3),
      auth('login', 1),
    )
    expect(
      await icons.rows(
        'select permissions, started_at, ended_at from icons.sessions where session_id = $1',
        session_id,
      ),
    ).toEqual([{ permissions: ['read', 'share'], started_at: new Date(at(1)), ended_at: new Date(at(3)) }])
  })
})

describe('a document', () => {
  const usesOf = (id: string) =>
    icons.rows('select icon, uses from icons.document_icons where document_id = $1 order by icon', id)

  it('has its icons counted from its content, and counted anew when it changes', async () => {
    const ids = { document: document(), user: user() }
    await succeed(documentEvent('created', ids, 1, 'a :star: b <icon name="home"> :star:'))
    expect(await usesOf(ids.document)).toEqual([
      { icon: 'home', uses: 1 },
      { icon: 'star', uses: 2 },
    ])
    await succeed(documentEvent('updated', ids, 2, ':bell: :star:'))
    expect(await usesOf(ids.document)).toEqual([
      { icon: 'bell', uses: 1 },
      { icon: 'star', uses: 1 },
    ])
    await succeed(documentEvent('updated', ids, 1, ':older:'))
    expect(await usesOf(ids.document)).toHaveLength(2)
    await succeed(documentEvent('deleted', ids, 3, ''))
    expect(await usesOf(ids.document)).toEqual([])
  })

  it('handled twice counts once', async () => {
    const ids = { document: document(), user: user() }
    const event = documentEvent('created', ids, 1, ':twice:')
    await succeed(event, event)
    expect(await icons.rows("select uses, documents from icons.popular_icons where icon = 'twice'")).toEqual([
      { uses: '1', documents: '1' },
    ])
  })

  it('adds to what is popular and to what its owner uses', async () => {
    const owner = user()
    for (const content of [':often: :often: :rarely:', ':often:']) {
      await succeed(documentEvent('created', { document: document(), user: owner }, 1, content))
    }
    expect(
      await icons.rows(
        "select icon, uses, documents, users from icons.popular_icons where icon in ('often', 'rarely')",
      ),
    ).toEqual([
      { icon: 'often', uses: '3', documents: '2', users: '1' },
      { icon: 'rarely', uses: '1', documents: '1', users: '1' },
    ])
    expect(await icons.rows('select icon, uses from icons.user_usage where user_id = $1 order by uses', owner)).toEqual(
      [
        { icon: 'rarely', uses: '1' },
        { icon: 'often', uses: '3' },
      ],
    )
  })

  it('that is published is recommended what stands beside its icons elsewhere', async () => {
    const [one, two, mine] = [document(), document(), document()]
    await succeed(
      documentEvent('created', { document: one, user: user() }, 1, ':shared: :beside: :rare:'),
      documentEvent('created', { document: two, user: user() }, 1, ':shared: :beside:'),
      documentEvent('published', { document: mine, user: user() }, 2, ':shared:'),
    )
    const recommended = () =>
      icons.rows('select icon, score from icons.recommendations where document_id = $1 order by score desc', mine)
    expect(await recommended()).toEqual([
      { icon: 'beside', score: 2 },
      { icon: 'rare', score: 1 },
    ])
    await succeed(documentEvent('deleted', { document: mine, user: user() }, 3, ':shared:'))
    expect(await recommended()).toEqual([])
  })

  it('with markup that is never closed fails by the extraction, and writes nothing', async () => {
    const ids = { document: document(), user: user() }
    const outcomes = await icons.handle(documentEvent('created', ids, 1, ':star: <icon name="'))
    expect(outcomes.map(({ handler, error }) => [handler, error?.name])).toEqual([['icons.usage', 'IconMarkupError']])
    expect(await usesOf(ids.document)).toEqual([])
  })
})

describe('the system', () => {
  const setting = (key: string, value: string, second: number) =>
    systemEvent(
      'system_setting.updated',
      second,
      { key, value, updated_at: at(second) },
      { system_setting_id: key, changes: ['value'] },
    )

  it('turns a changed row into configuration, applies it and invalidates what depends on it', async () => {
    const [event] = publishedBy(await succeed(setting('icons.cache_ttl', '60', 1)), 'icons.settings')
    expect(event?.type).toBe('system.configuration_changed')
    const outcomes = await succeed({ ...(event as EvtEvent), time: at(1) })
    expect(await icons.rows("select value, number from icons.configuration where key = 'icons.cache_ttl'")).toEqual([
      { value: '60', number: 60 },
    ])
    const [invalidation] = publishedBy(outcomes, 'icons.configuration') as EvtEvent[]
    await succeed({ ...(invalidation as EvtEvent), time: at(2) })
    expect(await icons.rows("select scope, generation from icons.cache where key = 'icons.cache_ttl'")).toEqual([
      { scope: 'all', generation: 1 },
    ])
  })

  it('refuses a number that is none, and keeps the value before', async () => {
    const changed = (value: string, second: number) =>
      systemEvent('system.configuration_changed', second, { key: 'icons.page_size', value, updated_at: at(second) })
    await succeed(changed('20', 1))
    const [outcome] = await icons.handle(changed('plenty', 2))
    expect(outcome?.error).toBeInstanceOf(RangeError)
    expect(await icons.rows("select value from icons.configuration where key = 'icons.page_size'")).toEqual([
      { value: '20' },
    ])
  })

  it('goes into maintenance and out of it; the later time wins', async () => {
    const [on] = publishedBy(await succeed(setting('maintenance_mode', '30m', 1)), 'icons.settings') as EvtEvent[]
    const [off] = publishedBy(await succeed(setting('maintenance_mode', 'off', 2)), 'icons.settings') as EvtEvent[]
    await succeed({ ...(off as EvtEvent), time: at(2) }, { ...(on as EvtEvent), time: at(1) })
    expect(await icons.rows('select service, enabled from icons.maintenance')).toEqual([
      { service: 'icon-service', enabled: false },
    ])
  })

  it('keeps the latest health of a service, and each performance sample once', async () => {
    const report = (status: string, second: number) =>
      systemEvent('system.health_reported', second, { service: 'search', status, checks: [{ name: 'db', status }] })
    const sample = systemEvent('system.performance_reported', 1, {
      service: 'search',
      operation: 'query',
      duration_ms: 12.5,
      memory_bytes: 4096,
    })
    await succeed(report('down', 2), report('ok', 1), sample, sample)
    expect(await icons.rows('select status, checks from icons.health')).toEqual([
      { status: 'down', checks: [{ name: 'db', status: 'down' }] },
    ])
    expect(await icons.rows('select samples, p95_ms from icons.performance')).toEqual([{ samples: '1', p95_ms: 12.5 }])
  })
})
