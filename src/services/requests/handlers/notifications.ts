import { defineHandler, type HandlerContext } from '../../../index.ts'
import { notificationDelivered, notificationFailed, notificationSend } from '../contracts.ts'
import { placeOf } from '../life-cycle.ts'

/** The channel does not answer: tried again, and given up after the last attempt. */
export class ChannelDown extends Error {
  override readonly name = 'ChannelDown'
}

const attempts = 3

/** Sends notifications. Each ends as delivered or failed, never as a dead letter: that somebody could not be told is an event. */
export const notifications = defineHandler({
  name: 'requests.notifications',
  on: [notificationSend],
  ordering: 'none',
  retry: { attempts, initial: '200ms', max: '5s' },
  // A channel that is down fails everything, and each of these has an end of its own.
  breaker: false,
  async handle({ data }, ctx) {
    const { notification_id, user_id, channel, template, about } = data
    await ctx.sql`
      insert into requests.notifications (notification_id, user_id, channel, template, about, status, attempts, position)
      values (${notification_id}, ${user_id}, ${channel}, ${template}, ${about}, 'sent', ${ctx.attempt}, ${placeOf(ctx)})
      on conflict (notification_id) do update set attempts = excluded.attempts, template = excluded.template, about = excluded.about
      where requests.notifications.status = 'sent'`
    const reason = await problemOf(ctx, data)
    if (reason === 'down' && ctx.attempt < attempts) throw new ChannelDown(`channel ${channel} does not answer`)
    const outcome = { notification_id, user_id, channel, attempts: ctx.attempt }
    const subject = `notification/${notification_id}`
    if (reason === undefined) await ctx.publish({ type: notificationDelivered.type, subject, data: outcome })
    else await ctx.publish({ type: notificationFailed.type, subject, data: { ...outcome, reason: wordsFor[reason] } })
  },
})

const wordsFor = { down: 'the channel does not answer', unknown: 'the user is not there any more' } as const

async function problemOf(
  { sql }: HandlerContext,
  { user_id, channel }: { readonly user_id: number; readonly channel: string },
): Promise<keyof typeof wordsFor | undefined> {
  const [found] = await sql<{ is_up: boolean; is_gone: boolean }>`
    select is_up, exists (select from requests.users where user_id = ${user_id} and deleted_at is not null) as is_gone
    from requests.channels where channel = ${channel}`
  if (found?.is_gone) return 'unknown'
  return found?.is_up === false ? 'down' : undefined
}

/** What became of them. */
export const deliveries = defineHandler({
  name: 'requests.deliveries',
  on: [notificationDelivered, notificationFailed],
  async handle({ type, data }, ctx) {
    const status = type === notificationDelivered.type ? 'delivered' : 'failed'
    const reason = 'reason' in data ? data.reason : null
    await ctx.sql`
      insert into requests.notifications (notification_id, user_id, channel, status, attempts, reason, position)
      values (${data.notification_id}, ${data.user_id}, ${data.channel}, ${status}, ${data.attempts}, ${reason}, ${placeOf(ctx)})
      on conflict (notification_id) do update set status = excluded.status, attempts = excluded.attempts,
        reason = excluded.reason, position = excluded.position
      where requests.notifications.position <= excluded.position`
  },
})
