import { randomUUID } from 'node:crypto'
import { defineHandler } from '../../../index.ts'
import { notificationSend, requestAssigned, shiftAssigned, shiftTransferred } from '../contracts.ts'

/** Tells executors what they have to do now. */
export const notices = defineHandler({
  name: 'requests.notices',
  on: [requestAssigned, shiftAssigned, shiftTransferred],
  priority: 'low',
  linger: '50ms',
  async handle({ type, data }, ctx) {
    const notification_id = randomUUID()
    const about = 'request_id' in data ? `request/${data.request_id}` : `shift/${data.shift_id}`
    await ctx.publish({
      type: notificationSend.type,
      subject: `notification/${notification_id}`,
      data: { notification_id, user_id: data.executor_id, channel: 'telegram', template: type, about },
    })
  },
})
