import { analytics } from './handlers/analytics.ts'
import { analyticsData } from './handlers/analytics-data.ts'
import { announce } from './handlers/announce.ts'
import { authAuditLog } from './handlers/auth-audit-log.ts'
import { authData } from './handlers/auth-data.ts'
import { credentials } from './handlers/credentials.ts'
import { mail } from './handlers/mail.ts'
import { mailData } from './handlers/mail-data.ts'
import { preferences } from './handlers/preferences.ts'
import { profile } from './handlers/profile.ts'
import { security } from './handlers/security.ts'
import { sessions } from './handlers/sessions.ts'
import { status } from './handlers/status.ts'
import { userAuthentication } from './handlers/user-authentication.ts'
import { usersData } from './handlers/users-data.ts'

export const handlers = [
  userAuthentication,
  security,
  authAuditLog,
  announce,
  status,
  credentials,
  sessions,
  profile,
  preferences,
  mail,
  analytics,
  authData,
  usersData,
  mailData,
  analyticsData,
]
