import { defineHandler } from '../../../index.ts'
import { userRegistered } from '../../accounts/contracts.ts'
import { orderCreated } from '../../commerce/contracts.ts'
import { featureFlagUsed } from '../contracts.ts'

/** What tenants make of the platform: their users, their orders, the flags that they meet. */
export const platformAnalytics = defineHandler({
  name: 'platform.platform-analytics',
  on: [userRegistered, orderCreated, featureFlagUsed],
  priority: 'low',
  concurrency: 10,
  transaction: 'event',
  async handle({ id, time, data }, ctx) {
    const [kind, subject, flag, enabled] =
      'flag' in data
        ? (['feature_flag', null, data.flag, data.enabled] as const)
        : ([
            'order_id' in data ? 'order' : 'user',
            'order_id' in data ? data.order_id : data.user_id,
            null,
            null,
          ] as const)
    if (data.tenant_id === undefined) return
    await ctx.sql`
      insert into platform.usage (event_id, tenant_id, kind, subject_id, flag, enabled, used_at)
      select ${id}, ${data.tenant_id}, ${kind},
        case when exists (select from platform.tombstones where user_id = ${subject}::uuid) then ${id} else ${subject} end,
        ${flag}, ${enabled}, ${time}
      on conflict (event_id) do nothing`
  },
})
