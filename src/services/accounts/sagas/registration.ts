import { z } from 'zod'
import { defineSaga } from '../../../index.ts'
import { aboutUser } from '../about-user.ts'
import {
  emailWelcomeSent,
  userPreferencesRemovalRequested,
  userPreferencesSet,
  userProfileCreated,
  userProfileRefused,
  userProfileRemovalRequested,
  userRegistered,
  userRegistrationCompleted,
  userRegistrationFailed,
  userTracked,
} from '../contracts.ts'
import { byUser } from './saga-keys.ts'

/**
 * Everybody begins by themselves when a user registers; the saga sees to it that all is done, or that nothing remains. A mail that does not go
 * out is no reason to turn a user away.
 */
export const registration = defineSaga({
  name: 'accounts.registration',
  startsOn: userRegistered,
  correlate: byUser,
  state: z.object({ user_id: z.uuid(), isWelcomed: z.boolean() }),
  begin: ({ data }) => ({ user_id: data.user_id, isWelcomed: false }),
  perKey: 'once',
  timeout: '10m',
  steps: ({ step, parallel }) => [
    parallel([
      step('profile', {
        awaits: userProfileCreated,
        refusedBy: userProfileRefused,
        correlate: byUser,
        timeout: '5m',
        compensate: ({ user_id }, ctx) => ctx.publish(aboutUser(userProfileRemovalRequested, { user_id })),
      }),
      step('preferences', {
        awaits: userPreferencesSet,
        correlate: byUser,
        timeout: '5m',
        compensate: ({ user_id }, ctx) => ctx.publish(aboutUser(userPreferencesRemovalRequested, { user_id })),
      }),
      step('welcome', {
        awaits: emailWelcomeSent,
        correlate: byUser,
        timeout: '5m',
        on: (state) => {
          state.isWelcomed = true
        },
        onTimeout: () => {},
      }),
    ]),
    step('analytics', { awaits: userTracked, correlate: byUser, timeout: '5m', onTimeout: () => {} }),
  ],
  onCompleted: ({ user_id }, ctx) => ctx.publish(aboutUser(userRegistrationCompleted, { user_id })),
  onFailed: ({ user_id }, ctx) => ctx.publish(aboutUser(userRegistrationFailed, { user_id, reason: ctx.reason })),
})
