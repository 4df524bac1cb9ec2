import { defineHandler, type HandlerContext } from '../../../index.ts'
import {
  featureFlagConfigured,
  subscriptionChanged,
  tenantCreated,
  tenantDeleted,
  tenantReactivated,
  tenantSuspended,
  tenantUpdated,
} from '../contracts.ts'

type Sql = HandlerContext['sql']

/** Tenants, what they pay for and what is switched on for them: one after the other, before everything else. */
export const tenantLifecycle = defineHandler({
  name: 'platform.tenant-lifecycle',
  on: [
    tenantCreated,
    tenantUpdated,
    tenantSuspended,
    tenantReactivated,
    tenantDeleted,
    subscriptionChanged,
    featureFlagConfigured,
  ],
  priority: 'critical',
  concurrency: 1,
  async handle({ type, time, data }, { sql }) {
    if ('flag' in data) await configureFlag(sql, data, time)
    else if ('seats' in data) await subscribe(sql, data, time)
    else if ('tenant_data' in data) {
      await keepTenant(sql, data, time)
      // Until somebody pays: the plan that it signed up for, on trial.
      if (type === tenantCreated.type)
        await subscribe(sql, { ...data, plan: data.tenant_data.plan, status: 'trial', seats: 1 }, '-infinity')
    } else await setStatus(sql, { tenant_id: data.tenant_id, status: statusAfter[type] ?? 'active' }, time)
  },
})

const statusAfter: Readonly<Record<string, string>> = {
  [tenantSuspended.type]: 'suspended',
  [tenantReactivated.type]: 'active',
  [tenantDeleted.type]: 'deleted',
}

async function keepTenant(
  sql: Sql,
  { tenant_id, tenant_data: tenant }: { tenant_id: string; tenant_data: { company_name: string; country: string } },
  time: string,
): Promise<void> {
  await sql`
    insert into platform.tenants (tenant_id, company_name, country, created_at, event_time)
    values (${tenant_id}, ${tenant.company_name}, ${tenant.country}, ${time}, ${time})
    on conflict (tenant_id) do update set
      company_name = excluded.company_name, country = excluded.country, event_time = excluded.event_time,
      created_at = least(platform.tenants.created_at, excluded.created_at)
    where platform.tenants.event_time <= excluded.event_time and platform.tenants.status <> 'deleted'`
}

async function setStatus(
  sql: Sql,
  { tenant_id, status }: { tenant_id: string; status: string },
  time: string,
): Promise<void> {
  await sql`
    insert into platform.tenants (tenant_id, status, created_at, event_time, status_time)
    values (${tenant_id}, ${status}, ${time}, '-infinity', ${status === 'deleted' ? 'infinity' : time})
    on conflict (tenant_id) do update set status = excluded.status, status_time = excluded.status_time
    where platform.tenants.status_time <= excluded.status_time`
}

async function subscribe(
  sql: Sql,
  of: { tenant_id: string; plan: string; status: string; seats: number },
  time: string,
): Promise<void> {
  await sql`
    insert into platform.subscriptions (tenant_id, plan, status, seats, event_time)
    values (${of.tenant_id}, ${of.plan}, ${of.status}, ${of.seats}, ${time})
    on conflict (tenant_id) do update set
      plan = excluded.plan, status = excluded.status, seats = excluded.seats, event_time = excluded.event_time
    where platform.subscriptions.event_time <= excluded.event_time`
}

async function configureFlag(
  sql: Sql,
  of: { tenant_id: string; flag: string; enabled: boolean; rollout_percent: number },
  time: string,
): Promise<void> {
  await sql`
    insert into platform.feature_flags (tenant_id, flag, enabled, rollout_percent, event_time)
    values (${of.tenant_id}, ${of.flag}, ${of.enabled}, ${of.rollout_percent}, ${time})
    on conflict (tenant_id, flag) do update set
      enabled = excluded.enabled, rollout_percent = excluded.rollout_percent, event_time = excluded.event_time
    where platform.feature_flags.event_time <= excluded.event_time`
}
