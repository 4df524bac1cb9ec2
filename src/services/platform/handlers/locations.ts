import { defineHandler } from '../../../index.ts'
import { locationClosed, locationCreated, locationUpdated } from '../contracts.ts'

/** Where the tenants are. A closed location stays, for what happened there, and is not opened again. */
export const locations = defineHandler({
  name: 'platform.locations',
  on: [locationCreated, locationUpdated, locationClosed],
  async handle({ type, time, data }, ctx) {
    const { location_id, tenant_id, location_data: location } = data
    const isClosed = type === locationClosed.type
    await ctx.sql`
      insert into platform.locations (location_id, tenant_id, name, city, country, is_open, event_time)
      values (${location_id}, ${tenant_id}, ${location.name}, ${location.city}, ${location.country},
        ${location.is_active && !isClosed}, ${isClosed ? 'infinity' : time})
      on conflict (location_id) do update set
        name = excluded.name, city = excluded.city, country = excluded.country, is_open = excluded.is_open,
        event_time = excluded.event_time
      where platform.locations.event_time <= excluded.event_time`
  },
})
