// The events of the accounts service. Their personal fields are masked wherever evt shows data; `encrypted.ts` has the same events with
// those fields encrypted. All are about a user, whose subject they share.
import { authEvents } from './contracts/auth.ts'
import { emailEvents } from './contracts/email.ts'
import { masked, type Personal } from './contracts/personal.ts'
import { userEvents } from './contracts/user.ts'

export const declare = (personal: Personal) => ({ ...authEvents(personal), ...userEvents(personal), ...emailEvents() })

const events = declare(masked)

export const {
  authLogin,
  authLogout,
  authSessionChanged,
  authLoginFailed,
  authSuspiciousLogin,
  authAccountLocked,
  authAccountUnlocked,
  authMfaEnrolled,
  authPasswordChanged,
  authRoleChanged,
  authTenantConfigured,
  userRegistered,
  userEmailVerified,
  userTracked,
  userRegistrationCompleted,
  userRegistrationFailed,
  userProfileCreated,
  userProfileUpdated,
  userProfileRefused,
  userProfileRemovalRequested,
  userPreferencesSet,
  userPreferencesRemovalRequested,
  userPasswordResetRequested,
  userPasswordResetConfirmed,
  userPasswordResetCompleted,
  userPasswordResetExpired,
  userDataExportRequested,
  userDataExportContributed,
  userDataExportCompleted,
  userDeletionRequested,
  userDeletionStarted,
  userDeletionConfirmed,
  userDeletionRefused,
  userDeletionFailed,
  userDeletionCompleted,
  accountFrozen,
  accountUnfrozen,
  accountDeleted,
  emailWelcomeSent,
  emailPasswordResetSent,
  emailDataExportSent,
  emailSecurityAlertSent,
} = events

export const contracts = Object.values(events)
