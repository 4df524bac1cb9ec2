import { randomUUID } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { EvtEvent } from '../../../src/index.ts'
import { platform } from '../../../src/services/platform/service.ts'
import { at, openServiceDatabase, type ServiceDatabase } from '../commerce/service-database.ts'

let here: ServiceDatabase
beforeAll(async () => {
  here = await openServiceDatabase([platform])
})
afterAll(() => here[Symbol.asyncDispose]())

const tenantEvent = (verb: string, tenant_id: string, second: number, more: object = {}) => {
  const tenant_data = { company_name: 'Olympus', owner_email: 'o@example.com', country: 'DE', plan: 'starter', ...more }
  return here.event(`tenant.${verb}`, second, {
    tenant_id,
    ...(verb === 'created' || verb === 'updated' ? { tenant_data } : {}),
    ...(verb === 'updated' ? { changes: Object.keys(more) } : {}),
    ...(verb === 'suspended' ? { reason: 'unpaid' } : {}),
  })
}
const registered = (user_id: string, second: number, more: object = {}) =>
  here.event('user.registered', second, {
    ...{ user_id, username: 'ada', email: 'ada@example.com', roles: [], registered_by: 'invitation' },
    ...more,
  })

describe('tenant-lifecycle', () => {
  const tenantOf = (id: string) =>
    here.rows('select company_name, status from platform.tenants where tenant_id = $1', id)

  it('keeps a tenant from its creation to its end, through suspension and back', async () => {
    const id = randomUUID()
    await here.succeed(tenantEvent('created', id, 1), tenantEvent('updated', id, 2, { company_name: 'Olymp' }))
    expect(await tenantOf(id)).toEqual([{ company_name: 'Olymp', status: 'active' }])
    await here.succeed(tenantEvent('suspended', id, 3))
    expect(await tenantOf(id)).toEqual([{ company_name: 'Olymp', status: 'suspended' }])
    await here.succeed(tenantEvent('reactivated', id, 4))
    expect(await tenantOf(id)).toEqual([{ company_name: 'Olymp', status: 'active' }])
    await here.succeed(tenantEvent('deleted', id, 5), tenantEvent('reactivated', id, 6))
    expect(await tenantOf(id)).toEqual([{ company_name: 'Olymp', status: 'deleted' }])
  })

  it('is not set back by an older event', async () => {
    const id = randomUUID()
    const older = tenantEvent('updated', id, 2, { company_name: 'Older' })
    await here.succeed(tenantEvent('updated', id, 3, { company_name: 'Newer' }), older)
    await here.succeed(tenantEvent('reactivated', id, 3), tenantEvent('suspended', id, 2))
    expect(await tenantOf(id)).toEqual([{ company_name: 'Newer', status: 'active' }])
  })

  it('is suspended and deleted whatever the clock of who else spoke of it', async () => {
    const [id, late] = [randomUUID(), randomUUID()]
    await here.succeed(tenantEvent('updated', id, 9), tenantEvent('suspended', id, 2))
    expect(await tenantOf(id)).toEqual([{ company_name: 'Olympus', status: 'suspended' }])
    await here.succeed(tenantEvent('deleted', id, 1), tenantEvent('reactivated', id, 99))
    expect(await tenantOf(id)).toMatchObject([{ status: 'deleted' }])
    await here.succeed(tenantEvent('suspended', late, 2), tenantEvent('created', late, 1))
    expect(await tenantOf(late)).toEqual([{ company_name: 'Olympus', status: 'suspended' }])
  })

  it('begins a trial of the plan that was signed up for, and follows the subscription', async () => {
    const id = randomUUID()
    const subscription = () =>
      here.rows('select plan, status, seats from platform.subscriptions where tenant_id = $1', id)
    await here.succeed(tenantEvent('created', id, 1))
    expect(await subscription()).toEqual([{ plan: 'starter', status: 'trial', seats: 1 }])
    const changed = (second: number, plan: string) =>
      here.event('subscription.changed', second, { tenant_id: id, plan, status: 'active', seats: 20 })
    await here.succeed(changed(3, 'business'), changed(2, 'free'), tenantEvent('created', id, 9))
    expect(await subscription()).toEqual([{ plan: 'business', status: 'active', seats: 20 }])
  })

  it('switches feature flags of one tenant; the later word counts', async () => {
    const [id, other] = [randomUUID(), randomUUID()]
    const flag = (tenant_id: string, second: number, enabled: boolean) =>
      here.event('feature_flag.configured', second, { tenant_id, flag: 'new_checkout', enabled, rollout_percent: 50 })
    await here.succeed(flag(id, 2, true), flag(id, 1, false), flag(other, 1, false))
    expect(
      await here.rows('select tenant_id, enabled from platform.feature_flags where tenant_id = any($1)', [id, other]),
    ).toEqual(
      expect.arrayContaining([
        { tenant_id: id, enabled: true },
        { tenant_id: other, enabled: false },
      ]),
    )
  })

  it('has metrics of a tenant: plan, flags, locations, users and orders', async () => {
    const id = randomUUID()
    const location = { name: 'Harbour', city: 'Kiel', country: 'DE', is_active: true }
    await here.succeed(
      tenantEvent('created', id, 1),
      here.event('feature_flag.configured', 2, { tenant_id: id, flag: 'a', enabled: true, rollout_percent: 1 }),
      here.event('location.created', 3, { location_id: randomUUID(), tenant_id: id, location_data: location }),
      registered(randomUUID(), 4, { tenant_id: id }),
    )
    expect(await here.rows('select * from platform.tenant_metrics where tenant_id = $1', id)).toMatchObject([
      { plan: 'starter', subscription: 'trial', flags_enabled: '1', locations: '1', users: '1', orders: '0' },
    ])
  })
})

describe('locations', () => {
  it('are kept as they were last said to be, and closed ones stay', async () => {
    const [location_id, tenant_id] = [randomUUID(), randomUUID()]
    const location = (verb: string, second: number, name: string) =>
      here.event(`location.${verb}`, second, {
        ...{ location_id, tenant_id, location_data: { name, city: 'Kiel', country: 'DE', is_active: true } },
        ...(verb === 'updated' ? { changes: ['name'] } : {}),
      })
    await here.succeed(location('updated', 3, 'Quay'), location('created', 1, 'Harbour'))
    const read = () => here.rows('select name, is_open from platform.locations where location_id = $1', location_id)
    expect(await read()).toEqual([{ name: 'Quay', is_open: true }])
    await here.succeed(location('closed', 2, 'Quay'), location('updated', 4, 'Quay'))
    expect(await read()).toEqual([{ name: 'Quay', is_open: false }])
  })
})

describe('user-role-management', () => {
  const permissionsOf = (user: string) =>
    here.rows('select role, permissions from platform.user_permissions where user_id = $1', user)

  it('gives who registers in a tenant the default role, and says so', async () => {
    const [user_id, tenant_id] = [randomUUID(), randomUUID()]
    await here.succeed(tenantEvent('created', tenant_id, 1))
    const [changed] = await here.succeed(registered(user_id, 2, { tenant_id }))
    expect(changed).toMatchObject({
      type: 'role.changed',
      subject: `user/${user_id}`,
      data: { user_id, tenant_id, role: 'member', changed_by: 'registration' },
    })
    expect(await permissionsOf(user_id)).toEqual([{ role: 'member', permissions: ['read', 'write'] }])
  })

  it('gives the role of the invitation, and none to a user of no tenant', async () => {
    const [user_id, tenant_id, alone] = [randomUUID(), randomUUID(), randomUUID()]
    await here.succeed(tenantEvent('created', tenant_id, 1), registered(user_id, 2, { tenant_id, roles: ['admin'] }))
    expect(await permissionsOf(user_id)).toMatchObject([{ role: 'admin' }])
    expect(await here.succeed(registered(alone, 2))).toEqual([])
    expect(await permissionsOf(alone)).toEqual([])
  })

  it('says a role once for a registration that comes twice, and takes no role away by an old one', async () => {
    const [user_id, tenant_id] = [randomUUID(), randomUUID()]
    const registration = registered(user_id, 2, { tenant_id })
    await here.succeed(
      registration,
      here.event('role.changed', 3, { user_id, tenant_id, role: 'owner', changed_by: 'operator' }),
    )
    expect(await here.succeed(registration)).toEqual([])
    await here.succeed(here.event('role.changed', 2, { user_id, tenant_id, role: 'member', changed_by: 'old' }))
    expect(await here.rows('select role from platform.user_roles where user_id = $1', user_id)).toEqual([
      { role: 'owner' },
    ])
  })

  it('changes what a role allows for all who have it, and takes a role away', async () => {
    const [user_id, tenant_id] = [randomUUID(), randomUUID()]
    await here.succeed(tenantEvent('created', tenant_id, 1), registered(user_id, 2, { tenant_id }))
    await here.succeed(here.event('role.defined', 3, { tenant_id, role: 'member', permissions: ['read'] }))
    expect(await permissionsOf(user_id)).toEqual([{ role: 'member', permissions: ['read'] }])
    await here.succeed(here.event('role.changed', 4, { user_id, tenant_id, role: null, changed_by: 'operator' }))
    expect(await permissionsOf(user_id)).toEqual([])
  })
})

describe('user-data', () => {
  const traces = async (user_id: string) => [
    ...(await here.rows('select role from platform.user_roles where user_id = $1', user_id)),
    ...(await here.rows('select kind from platform.usage where subject_id = $1', user_id)),
  ]

  it('hands out what the platform knows of a user', async () => {
    const [user_id, tenant_id, export_id] = [randomUUID(), randomUUID(), randomUUID()]
    await here.succeed(registered(user_id, 1, { tenant_id, roles: ['admin'] }))
    const [said] = await here.succeed(here.event('user.data_export_requested', 2, { user_id, export_id }))
    expect(said).toMatchObject({
      type: 'user.data_export_contributed',
      data: { user_id, export_id, service: 'platform' },
    })
    const { document } = (said as EvtEvent<{ document: string }>).data
    expect(JSON.parse(document)).toMatchObject({
      user_roles: [{ role: 'admin', tenant_id }],
      usage: [{ kind: 'user' }],
    })
  })

  it('erases a user, of whom nothing comes again; that there was one still counts', async () => {
    const [user_id, tenant_id] = [randomUUID(), randomUUID()]
    const registration = registered(user_id, 1, { tenant_id })
    await here.succeed(registration)
    expect(await here.succeed(here.event('user.deletion_started', 2, { user_id }))).toMatchObject([
      { type: 'user.deletion_confirmed', subject: `user/${user_id}`, data: { user_id, service: 'platform' } },
    ])
    const role = { user_id, tenant_id, role: 'owner', changed_by: 'operator' }
    await here.succeed(registration, registered(user_id, 1, { tenant_id }), here.event('role.changed', 3, role))
    expect(await traces(user_id)).toEqual([])
    expect(await here.succeed(here.event('account.deleted', 4, { user_id }))).toEqual([])
    const counted = await here.rows('select users from platform.tenant_usage where tenant_id = $1', tenant_id)
    expect(Number(counted[0]?.users)).toBeGreaterThan(0)
  })
})

describe('platform-analytics', () => {
  it('counts users, orders and flags of a tenant, each event once', async () => {
    const [tenant_id, order_id] = [randomUUID(), randomUUID()]
    const met = (second: number, enabled: boolean) =>
      here.event('feature_flag.used', second, { tenant_id, flag: 'new_checkout', enabled })
    const order = here.event(
      'order.created',
      3,
      { order_id, tenant_id, total: '12.50', currency: 'EUR' },
      { version: 1 },
    )
    const all = [registered(randomUUID(), 1, { tenant_id }), order, met(4, true), met(5, true), met(6, false)]
    await here.succeed(...all, ...all)
    expect(await here.rows('select * from platform.tenant_usage where tenant_id = $1', tenant_id)).toEqual([
      { tenant_id, users: '1', orders: '1', flags_met: '3', last_used_at: new Date(at(6)) },
    ])
    expect(
      await here.rows('select met, met_enabled from platform.feature_flag_usage where tenant_id = $1', tenant_id),
    ).toEqual([{ met: '3', met_enabled: '2' }])
  })
})
