import { defineHandler } from '../../../index.ts'
import { aboutUser } from '../about-user.ts'
import {
  authSuspiciousLogin,
  emailDataExportSent,
  emailPasswordResetSent,
  emailSecurityAlertSent,
  emailWelcomeSent,
  userDataExportCompleted,
  userPasswordResetRequested,
  userProfileCreated,
} from '../contracts.ts'

/** What is sent when, and what says that it was. Nobody is welcomed whose name is refused: a profile comes first. */
const mails = {
  [userProfileCreated.type]: emailWelcomeSent,
  [userPasswordResetRequested.type]: emailPasswordResetSent,
  [userDataExportCompleted.type]: emailDataExportSent,
  [authSuspiciousLogin.type]: emailSecurityAlertSent,
}

/** Sends each mail once: here that is a row, for a real one hand the mail's id to the provider. */
export const mail = defineHandler({
  name: 'accounts.mail',
  on: [userProfileCreated, userPasswordResetRequested, userDataExportCompleted, authSuspiciousLogin],
  linger: '50ms',
  async handle(event, ctx) {
    const { user_id } = event.data
    const sent = mails[event.type]
    if (!sent) return
    const [row] = await ctx.sql<{ mail_id: string }>`
      insert into accounts.mails (mail_id, user_id, template, event_id, sent_at)
      select gen_random_uuid(), ${user_id}, ${sent.type.replace(/^email\.|_sent$/g, '')}, ${event.id}, ${event.time}
      where not exists (select from accounts.tombstones where user_id = ${user_id})
      on conflict (event_id) do nothing returning mail_id`
    if (row) await ctx.publish(aboutUser(sent, { user_id, mail_id: row.mail_id }))
  },
})
