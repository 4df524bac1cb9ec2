import { z } from 'zod'
import {
  createRegistry,
  defineEvent,
  defineHandler,
  defineSaga,
  type EventContract,
  sensitive,
} from '../../src/index.ts'

// The flows of the event bus guide, as a user writes them: registration, GDPR deletion, password reset, GDPR export.

const user = z.object({ userId: z.string() })
const reasoned = user.extend({ reason: z.string() })
const byUser = ({ data }: { readonly data: { readonly userId: string } }) => data.userId

export const userRegistered = defineEvent('user.registered', { 1: user.extend({ email: sensitive(z.email()) }) })
export const profileCreated = defineEvent('profile.created', { 1: user.extend({ profileId: z.string() }) })
export const preferencesSet = defineEvent('preferences.set', { 1: user })
export const welcomeEmailSent = defineEvent('welcome-email.sent', { 1: user })
const profileRequested = defineEvent('profile.requested', { 1: user })
const profileRemoved = defineEvent('profile.removal-requested', {
  1: user.extend({ profileId: z.string().optional() }),
})
const preferencesRequested = defineEvent('preferences.requested', { 1: user })
const welcomeEmailRequested = defineEvent('welcome-email.requested', { 1: user.extend({ email: z.email() }) })
const userTracked = defineEvent('analytics.user-tracked', { 1: user })
const registrationCompleted = defineEvent('registration.completed', { 1: user.extend({ profileId: z.string() }) })
const registrationFailed = defineEvent('registration.failed', { 1: reasoned })

export const registration = defineSaga({
  name: 'accounts.registration',
  startsOn: userRegistered,
  correlate: byUser,
  state: z.object({ userId: z.string(), email: sensitive(z.email()), profileId: z.string().optional() }),
  timeout: '5m',
  start: 'earliest',
  steps: ({ step, parallel }) => [
    step('profile', {
      run: ({ userId }, ctx) => ctx.publish({ type: 'profile.requested', data: { userId } }),
      awaits: profileCreated,
      correlate: byUser,
      timeout: '30s',
      on: (state, event) => {
        state.profileId = event.data.profileId
      },
      compensate: ({ userId, profileId }, ctx) =>
        ctx.publish({ type: 'profile.removal-requested', data: { userId, profileId } }),
    }),
    parallel([
      step('preferences', {
        run: ({ userId }, ctx) => ctx.publish({ type: 'preferences.requested', data: { userId } }),
        awaits: preferencesSet,
        correlate: byUser,
        timeout: '30s',
      }),
      step('welcome', {
        run: ({ userId, email }, ctx) => ctx.publish({ type: 'welcome-email.requested', data: { userId, email } }),
        awaits: welcomeEmailSent,
        correlate: byUser,
        timeout: '30s',
      }),
    ]),
    step('analytics', {
      run: ({ userId }, ctx) => ctx.publish({ type: 'analytics.user-tracked', data: { userId } }),
    }),
  ],
  onCompleted: ({ userId, profileId = '' }, ctx) =>
    ctx.publish({ type: 'registration.completed', data: { userId, profileId } }),
  onFailed: ({ userId }, ctx) => ctx.publish({ type: 'registration.failed', data: { userId, reason: ctx.reason } }),
})

/** The services that the registration asks. */
const registrationServices = [
  defineHandler({
    name: 'users.profiles',
    on: [profileRequested],
    start: 'earliest',
    handle: async ({ data: { userId } }, ctx) => {
      await ctx.publish({ type: 'profile.created', data: { userId, profileId: `p-${userId}` } })
    },
  }),
  defineHandler({
    name: 'users.preferences',
    on: [preferencesRequested],
    start: 'earliest',
    handle: async ({ data: { userId } }, ctx) => {
      await ctx.publish({ type: 'preferences.set', data: { userId } })
    },
  }),
  defineHandler({
    name: 'mail.welcome',
    on: [welcomeEmailRequested],
    start: 'earliest',
    handle: async ({ data: { userId } }, ctx) => {
      await ctx.publish({ type: 'welcome-email.sent', data: { userId } })
    },
  }),
]

export const deletionRequested = defineEvent('user.deletion-requested', { 1: user })
const accountFrozen = defineEvent('account.frozen', { 1: user })
const accountUnfrozen = defineEvent('account.unfrozen', { 1: user })
const erasureRequested = defineEvent('files.erasure-requested', { 1: user })
const erasureTakenBack = defineEvent('files.erasure-taken-back', { 1: user })
export const filesErased = defineEvent('files.erased', { 1: user })
const ordersErasureRequested = defineEvent('orders.erasure-requested', { 1: user })
export const ordersErased = defineEvent('orders.erased', { 1: user })
export const ordersErasureRefused = defineEvent('orders.erasure-refused', { 1: reasoned })
const userDeleted = defineEvent('user.deleted', { 1: user })
const deletionFailed = defineEvent('user.deletion-failed', { 1: reasoned })

export const deletion = defineSaga({
  name: 'accounts.deletion',
  startsOn: deletionRequested,
  correlate: byUser,
  state: user,
  perKey: 'once',
  start: 'earliest',
  steps: ({ step }) => [
    step('freeze', {
      run: (state, ctx) => ctx.publish({ type: 'account.frozen', data: state }),
      compensate: (state, ctx) => ctx.publish({ type: 'account.unfrozen', data: state }),
    }),
    step('files', {
      run: (state, ctx) => ctx.publish({ type: 'files.erasure-requested', data: state }),
      awaits: filesErased,
      correlate: byUser,
      compensate: (state, ctx) => ctx.publish({ type: 'files.erasure-taken-back', data: state }),
    }),
    step('orders', {
      run: (state, ctx) => ctx.publish({ type: 'orders.erasure-requested', data: state }),
      awaits: ordersErased,
      refusedBy: ordersErasureRefused,
      correlate: byUser,
    }),
  ],
  onCompleted: (state, ctx) => ctx.publish({ type: 'user.deleted', data: state }),
  onFailed: ({ userId }, ctx) => ctx.publish({ type: 'user.deletion-failed', data: { userId, reason: ctx.reason } }),
})

const reset = z.object({ requestId: z.string(), userId: z.string() })
export const resetRequested = defineEvent('password.reset-requested', { 1: reset })
export const resetConfirmed = defineEvent('password.reset-confirmed', { 1: reset })
const resetMailRequested = defineEvent('password.reset-mail-requested', { 1: reset })
const passwordChanged = defineEvent('password.changed', { 1: reset })
const resetExpired = defineEvent('password.reset-expired', { 1: reset })

export const passwordReset = defineSaga({
  name: 'accounts.password-reset',
  startsOn: resetRequested,
  correlate: ({ data }) => data.requestId,
  state: reset,
  start: 'earliest',
  steps: ({ step }) => [
    step('confirm', {
      async run(state, ctx) {
        await ctx.sql`insert into reset_tokens values (${state.requestId})`
        await ctx.publish({ type: 'password.reset-mail-requested', data: state })
      },
      awaits: resetConfirmed,
      correlate: ({ data }) => data.requestId,
      timeout: '400ms',
      compensate: (state, ctx) => ctx.sql`delete from reset_tokens where id = ${state.requestId}`,
    }),
  ],
  onCompleted: (state, ctx) => ctx.publish({ type: 'password.changed', data: state }),
  onFailed: (state, ctx) => ctx.publish({ type: 'password.reset-expired', data: state }),
})

const exported = z.object({ userId: z.string(), service: z.string() })
export const exportRequested = defineEvent('user.data-export-requested', { 1: user })
export const dataContributed = defineEvent('user.data-contributed', { 1: exported })
const exportCollecting = defineEvent('user.data-export-collecting', { 1: user })
const exportCompleted = defineEvent('user.data-export-completed', {
  1: user.extend({ url: z.string(), missing: z.array(z.string()) }),
})

export const dataExport = defineSaga({
  name: 'privacy.export',
  startsOn: exportRequested,
  correlate: byUser,
  state: z.object({
    userId: z.string(),
    parts: z.array(z.string()).default([]),
    missing: z.array(z.string()).default([]),
    url: z.string().default(''),
  }),
  start: 'earliest',
  steps: ({ step }) => [
    step('collect', {
      run: ({ userId }, ctx) => ctx.publish({ type: 'user.data-export-collecting', data: { userId } }),
      from: () => ['accounts', 'orders', 'files'],
      awaits: dataContributed,
      correlate: byUser,
      sender: ({ data }) => data.service,
      on: (state, { data }) => state.parts.push(data.service),
      timeout: '600ms',
      onTimeout: (state, missing) => {
        state.missing = [...missing]
      },
    }),
    step('bundle', {
      run: (state) => {
        state.url = `https://export.example/${state.userId}?${state.parts.join('+')}`
      },
    }),
  ],
  onCompleted: ({ userId, url, missing }, ctx) =>
    ctx.publish({ type: 'user.data-export-completed', data: { userId, url, missing } }),
})

export const contracts: readonly EventContract[] = [
  ...[userRegistered, profileCreated, preferencesSet, welcomeEmailSent, profileRequested, profileRemoved],
  ...[preferencesRequested, welcomeEmailRequested, userTracked, registrationCompleted, registrationFailed],
  ...[deletionRequested, accountFrozen, accountUnfrozen, erasureRequested, erasureTakenBack, filesErased],
  ...[ordersErasureRequested, ordersErased, ordersErasureRefused, userDeleted, deletionFailed],
  ...[resetRequested, resetConfirmed, resetMailRequested, passwordChanged, resetExpired],
  ...[exportRequested, dataContributed, exportCollecting, exportCompleted],
] as readonly EventContract[]
export const registry = createRegistry(contracts)
export const sagas = [registration, deletion, passwordReset, dataExport]
export const handlers = registrationServices
