import { defineHandler } from '../../../index.ts'
import { maintenanceMode } from '../contracts.ts'

/** Which services are in maintenance. System events have no order, so the later time wins. */
export const maintenance = defineHandler({
  name: 'icons.maintenance',
  on: [maintenanceMode],
  priority: 'critical',
  async handle(event, ctx) {
    const { maintenance_enabled, estimated_duration, affected_services } = event.data.system_data
    await ctx.sql`
      insert into icons.maintenance (service, enabled, estimated_duration, event_time)
      select distinct service, ${maintenance_enabled}::boolean, ${estimated_duration}, ${event.time}::timestamptz
      from unnest(${affected_services}::text[]) as service order by service
      on conflict (service) do update set
        enabled = excluded.enabled, estimated_duration = excluded.estimated_duration, event_time = excluded.event_time
      where icons.maintenance.event_time <= excluded.event_time`
  },
})
