import { defineHandler } from '../../index.ts'
import { aboutUser } from './about-user.ts'
import {
  accountDeleted,
  userDataExportContributed,
  userDataExportRequested,
  userDeletionConfirmed,
  userDeletionStarted,
} from './contracts.ts'

export interface Holding {
  /** As it stands in `accounts.data_holders`. */
  readonly service: string
  /** Tables with a `user_id`, which users may see. */
  readonly tables: readonly string[]
  /** Tables with a `user_id` that hold the service's own workings. */
  readonly internal?: readonly string[]
}

/** What a service does that knows something of users: it hands that out for an export, erases it for a deletion, and says so. */
export const dataHolder = ({ service, tables, internal = [] }: Holding) =>
  defineHandler({
    name: `accounts.${service}-data`,
    on: [userDataExportRequested, userDeletionStarted, accountDeleted],
    async handle({ type, data, time }, ctx) {
      const { user_id } = data
      if ('export_id' in data) {
        const parts = tables.map(
          (table) => `'${table}', coalesce((select jsonb_agg(t) from accounts.${table} t where user_id = $1), '[]')`,
        )
        const [found] = await ctx.sql.query<{ document: string }>(
          `select jsonb_build_object(${parts.join(', ')})::text as document`,
          [user_id],
        )
        const { document = '{}' } = found ?? {}
        await ctx.publish(aboutUser(userDataExportContributed, { ...data, service, document }))
        return
      }
      await ctx.sql`insert into accounts.tombstones values (${user_id}, ${time}) on conflict do nothing`
      for (const table of [...tables, ...internal])
        await ctx.sql.query(`delete from accounts.${table} where user_id = $1`, [user_id])
      // Once more at the end, for what another handler was just writing when it began.
      if (type === userDeletionStarted.type) await ctx.publish(aboutUser(userDeletionConfirmed, { user_id, service }))
    },
  })
