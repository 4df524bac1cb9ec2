import { defineHandler } from '../../../index.ts'
import { fullName, userCreated, userDeleted, userUpdated, userVerified } from '../contracts.ts'
import { placeOf } from '../life-cycle.ts'

/** The service's own copy of the users: whom it can ask, and for what. */
export const users = defineHandler({
  name: 'requests.users',
  on: [userCreated, userUpdated, userVerified, userDeleted],
  priority: 'high',
  async handle({ type, time, data }, ctx) {
    const place = placeOf(ctx)
    const { sql } = ctx
    if ('full_name' in data) {
      await sql`
        insert into requests.users
          (user_id, telegram_id, first_name, last_name, full_name, role, specializations, permissions, position)
        values (${data.user_id}, ${data.telegram_id}, ${data.first_name}, ${data.last_name}, ${data.full_name}, ${data.role},
          ${data.specializations ?? []}, ${data.permissions ?? []}, ${place})
        on conflict (user_id) do nothing`
    } else if ('changes' in data) {
      const [user] = await sql<{ first_name: string; last_name: string | null }>`
        select first_name, last_name from requests.users where user_id = ${data.user_id} for update`
      if (!user) return
      const [first, last] = [data.first_name ?? user.first_name, data.last_name ?? user.last_name]
      await sql`
        update requests.users set first_name = ${first}, last_name = ${last}, full_name = ${fullName(first, last)},
          role = coalesce(${data.role}, role), telegram_id = coalesce(${data.telegram_id}, telegram_id),
          specializations = coalesce(${data.specializations}::text[], specializations), position = ${place}
        where user_id = ${data.user_id} and position <= ${place} and deleted_at is null`
    } else if ('verified_by' in data) {
      await sql`
        update requests.users set verified_by = ${data.verified_by}, position = ${place}
        where user_id = ${data.user_id} and position <= ${place} and deleted_at is null`
    } else if (type === userDeleted.type) {
      // The name goes, the number stays: requests and assignments name it.
      await sql`
        update requests.users set first_name = '', last_name = null, full_name = '', telegram_id = null,
          deleted_at = ${time}, position = ${place}
        where user_id = ${data.user_id} and position <= ${place}`
    }
  },
})
