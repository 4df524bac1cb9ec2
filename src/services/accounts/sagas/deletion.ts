import { z } from 'zod'
import { defineSaga, eraseSubject } from '../../../index.ts'
import { aboutUser } from '../about-user.ts'
import {
  accountDeleted,
  accountFrozen,
  accountUnfrozen,
  userDeletionCompleted,
  userDeletionConfirmed,
  userDeletionFailed,
  userDeletionRefused,
  userDeletionRequested,
  userDeletionStarted,
} from '../contracts.ts'
import { byUser } from './saga-keys.ts'

/** The right to be forgotten: the account is frozen, every service erases and confirms, then the key goes that opens what events say. */
export const deletion = defineSaga({
  name: 'accounts.deletion',
  startsOn: userDeletionRequested,
  correlate: byUser,
  state: z.object({ user_id: z.uuid(), reason: z.string(), services: z.array(z.string()) }),
  begin: ({ data }) => ({ user_id: data.user_id, reason: data.reason, services: [] }),
  timeout: '30d',
  steps: ({ step }) => [
    step('freeze', {
      run: ({ user_id }, ctx) => ctx.publish(aboutUser(accountFrozen, { user_id })),
      compensate: ({ user_id }, ctx) => ctx.publish(aboutUser(accountUnfrozen, { user_id })),
    }),
    step('clearance', {
      // Before anything is erased: that cannot be undone.
      async run(state, ctx) {
        const [hold] = await ctx.sql`select reason from accounts.legal_holds where user_id = ${state.user_id}`
        if (hold) throw new Error(`the data must be kept: ${String(hold.reason)}`)
        const holders = await ctx.sql<{ service: string }>`select service from accounts.data_holders order by service`
        state.services = holders.map(({ service }) => service)
      },
      retry: { attempts: 1 },
    }),
    step('erase', {
      run: ({ user_id }, ctx) => ctx.publish(aboutUser(userDeletionStarted, { user_id })),
      awaits: userDeletionConfirmed,
      refusedBy: userDeletionRefused,
      correlate: byUser,
      from: ({ services }) => services,
      sender: ({ data }) => data.service,
      timeout: '1d',
      onTimeout: 'retry',
      retry: { attempts: 7 },
    }),
    step('key', {
      run: ({ user_id, reason }, ctx) =>
        eraseSubject(ctx.sql, { subject: `user/${user_id}`, by: ctx.saga.name, reason }),
    }),
  ],
  async onCompleted({ user_id, services }, ctx) {
    await ctx.publish(aboutUser(userDeletionCompleted, { user_id, services }))
    await ctx.publish(aboutUser(accountDeleted, { user_id }))
  },
  onFailed: ({ user_id }, ctx) => ctx.publish(aboutUser(userDeletionFailed, { user_id, reason: ctx.reason })),
})
