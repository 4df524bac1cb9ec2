import { defineHandler } from '../../../index.ts'

/** For compliance: that each thing happened to a login, when, and by whom. No personal data, so that it outlives the account. */
export const authAuditLog = defineHandler({
  name: 'accounts.auth-audit-log',
  on: ['auth.*', 'account.*'],
  priority: 'low',
  linger: '50ms',
  concurrency: 20,
  async handle(event, ctx) {
    await ctx.sql`
      insert into accounts.auth_audit (event_id, type, subject, tenant, actor, source, correlation_id, event_time)
      values (${event.id}, ${event.type}, ${event.subject ?? null}, ${event.tenant ?? null}, ${event.actor?.userId ?? null},
        ${event.source}, ${event.correlationId ?? null}, ${event.time})
      on conflict (event_id) do nothing`
  },
})
