import { z } from 'zod'
import { defineEvent } from '../../../index.ts'

/** What was sent to a user. Not where to: the address is the account's. */
export function emailEvents() {
  const sent = z.object({ user_id: z.uuid(), mail_id: z.uuid() })
  return {
    emailWelcomeSent: defineEvent('email.welcome_sent', { 1: sent }),
    emailPasswordResetSent: defineEvent('email.password_reset_sent', { 1: sent }),
    emailDataExportSent: defineEvent('email.data_export_sent', { 1: sent }),
    emailSecurityAlertSent: defineEvent('email.security_alert_sent', { 1: sent }),
  }
}
