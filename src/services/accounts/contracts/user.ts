import { z } from 'zod'
import { defineEvent } from '../../../index.ts'
import { country, type Personal, word } from './personal.ts'

/** A user's life: registration, profile, preferences, and the end of it. */
export function userEvents(personal: Personal) {
  const user = z.object({ user_id: z.uuid() })
  const email = personal(z.email())
  const displayName = personal(z.string().min(1).max(200))
  const preferences = z.object({
    language: z.enum(['en', 'de', 'fr', 'es', 'ja']),
    newsletter: z.boolean(),
    theme: z.enum(['light', 'dark']),
  })
  const exported = user.extend({ export_id: z.uuid() })
  const reset = user.extend({ request_id: z.uuid() })
  const reason = z.string().min(1).max(500)
  return {
    /** By the user, or by a tenant that invites: both are the same fact. */
    userRegistered: defineEvent('user.registered', {
      1: user.extend({
        username: personal(z.string().min(1).max(100)),
        email,
        roles: z.array(word).max(20),
        registered_by: z.enum(['self_service', 'invitation']),
        tenant_id: z.uuid().optional(),
        country: country.optional(),
      }),
    }),
    userEmailVerified: defineEvent('user.email_verified', { 1: user }),
    userTracked: defineEvent('user.tracked', { 1: user }),
    userRegistrationCompleted: defineEvent('user.registration_completed', { 1: user }),
    userRegistrationFailed: defineEvent('user.registration_failed', { 1: user.extend({ reason }) }),

    userProfileCreated: defineEvent('user.profile_created', {
      1: user.extend({ profile_id: z.uuid(), display_name: displayName }),
    }),
    userProfileUpdated: defineEvent('user.profile_updated', {
      1: user.extend({
        profile_data: z.object({ display_name: displayName, about: personal(z.string().max(1000)) }),
        changes: z.array(z.string().min(1)),
      }),
    }),
    userProfileRefused: defineEvent('user.profile_refused', { 1: user.extend({ reason }) }),
    userProfileRemovalRequested: defineEvent('user.profile_removal_requested', { 1: user }),
    userPreferencesSet: defineEvent('user.preferences_set', { 1: user.extend({ preferences }) }),
    userPreferencesRemovalRequested: defineEvent('user.preferences_removal_requested', { 1: user }),

    userPasswordResetRequested: defineEvent('user.password_reset_requested', { 1: reset.extend({ email }) }),
    userPasswordResetConfirmed: defineEvent('user.password_reset_confirmed', { 1: reset }),
    userPasswordResetCompleted: defineEvent('user.password_reset_completed', { 1: reset }),
    userPasswordResetExpired: defineEvent('user.password_reset_expired', { 1: reset }),

    userDataExportRequested: defineEvent('user.data_export_requested', { 1: exported }),
    /** What one service knows of the user, as JSON. */
    userDataExportContributed: defineEvent('user.data_export_contributed', {
      1: exported.extend({ service: word, document: personal(z.string()) }),
    }),
    userDataExportCompleted: defineEvent('user.data_export_completed', {
      1: exported.extend({ url: z.url(), services: z.array(word), missing: z.array(word) }),
    }),

    userDeletionRequested: defineEvent('user.deletion_requested', { 1: user.extend({ reason }) }),
    /** Nothing forbids it: every service erases what it knows of the user, and says so. */
    userDeletionStarted: defineEvent('user.deletion_started', { 1: user }),
    userDeletionConfirmed: defineEvent('user.deletion_confirmed', { 1: user.extend({ service: word }) }),
    userDeletionRefused: defineEvent('user.deletion_refused', { 1: user.extend({ service: word, reason }) }),
    userDeletionFailed: defineEvent('user.deletion_failed', { 1: user.extend({ reason }) }),
    userDeletionCompleted: defineEvent('user.deletion_completed', { 1: user.extend({ services: z.array(word) }) }),
    accountFrozen: defineEvent('account.frozen', { 1: user }),
    accountUnfrozen: defineEvent('account.unfrozen', { 1: user }),
    accountDeleted: defineEvent('account.deleted', { 1: user }),
  }
}
