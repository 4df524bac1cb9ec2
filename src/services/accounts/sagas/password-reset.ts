import { z } from 'zod'
import { defineSaga } from '../../../index.ts'
import { aboutUser } from '../about-user.ts'
import {
  authPasswordChanged,
  userPasswordResetCompleted,
  userPasswordResetConfirmed,
  userPasswordResetExpired,
  userPasswordResetRequested,
} from '../contracts.ts'
import { byRequest } from './saga-keys.ts'

/** A link that is good for an hour. What is in it goes into the mail alone; here is its hash. */
export const passwordReset = defineSaga({
  name: 'accounts.password-reset',
  startsOn: userPasswordResetRequested,
  correlate: byRequest,
  state: z.object({ request_id: z.uuid(), user_id: z.uuid() }),
  begin: ({ data }) => ({ request_id: data.request_id, user_id: data.user_id }),
  perKey: 'once',
  timeout: '2h',
  steps: ({ step }) => [
    step('confirm', {
      run: ({ request_id, user_id }, ctx) => ctx.sql`
        insert into accounts.password_resets (request_id, user_id, token_hash, asked_at)
        values (${request_id}, ${user_id}, encode(sha256(convert_to(gen_random_uuid()::text, 'UTF8')), 'hex'),
          ${ctx.saga.startedAt})`,
      awaits: userPasswordResetConfirmed,
      correlate: byRequest,
      timeout: '1h',
      compensate: ({ request_id }, ctx) => ctx.sql`
        update accounts.password_resets set status = 'expired' where request_id = ${request_id}`,
    }),
    step('change', {
      async run({ request_id, user_id }, ctx) {
        await ctx.sql`update accounts.password_resets set status = 'used' where request_id = ${request_id}`
        await ctx.publish(aboutUser(authPasswordChanged, { user_id, by: 'reset' }))
      },
    }),
  ],
  onCompleted: (state, ctx) => ctx.publish(aboutUser(userPasswordResetCompleted, state)),
  onFailed: (state, ctx) => ctx.publish(aboutUser(userPasswordResetExpired, state)),
})
