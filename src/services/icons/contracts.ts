// The events of the icon service, in the payload of its design: an id, the `…_data` of the thing, and what changed.
// Type, time and correlation travel in the envelope.
import { z } from 'zod'
import { defineEvent, sensitive } from '../../index.ts'
import { accountDeleted, authLogin, authLogout, authSessionChanged } from '../accounts/contracts.ts'

/** Both RFC 3339 in UTC, as programs write it, and with an offset, as Postgres does. */
const instant = z.iso.datetime({ offset: true })
const changes = z.array(z.string().min(1))

const firstUserData = z.object({
  email: sensitive(z.email()),
  is_active: z.boolean(),
  created_at: instant,
})

const userData = firstUserData.extend({
  name: sensitive(z.string().min(1).max(200)),
  plan: z.enum(['free', 'pro', 'team']),
  role: z.enum(['viewer', 'editor', 'admin']),
  country: z.string().length(2),
  updated_at: instant,
})

const user = z.object({ user_id: z.uuid(), user_data: userData })
const changedUser = user.extend({ changes })

/** Version 1 knew an address only; whoever registered then was on the free plan. */
export const userCreated = defineEvent('user.created', {
  1: z.object({ user_id: z.uuid(), user_data: firstUserData }),
  2: {
    schema: user,
    upcast: ({ user_id, user_data }) => ({
      user_id,
      user_data: {
        name: user_data.email.split('@')[0] ?? '',
        plan: 'free' as const,
        role: 'viewer' as const,
        country: 'ZZ',
        updated_at: user_data.created_at,
        // What a writer sent beyond version 1 is newer than our guess.
        ...user_data,
      },
    }),
  },
})
export const userUpdated = defineEvent('user.updated', { 1: changedUser })
export const userSuspended = defineEvent('user.suspended', { 1: changedUser })
export const userDeleted = defineEvent('user.deleted', { 1: user })

const documentData = z.object({
  title: z.string().min(1).max(500),
  content: z.string(),
  is_public: z.boolean(),
  created_at: instant,
  updated_at: instant,
})
const document = z.object({ document_id: z.uuid(), user_id: z.uuid(), document_data: documentData })
const changedDocument = document.extend({ changes })

export const documentCreated = defineEvent('document.created', { 1: document })
export const documentUpdated = defineEvent('document.updated', { 1: changedDocument })
export const documentPublished = defineEvent('document.published', { 1: changedDocument })
export const documentDeleted = defineEvent('document.deleted', { 1: document })

const settingData = z.object({ key: z.string().min(1).max(200), value: z.string(), updated_at: instant })

/** Captured from the table of settings; `icons.settings` makes the system's own events of them. */
const setting = z.object({ system_setting_id: z.string().min(1).max(200), system_data: settingData })
export const settingCreated = defineEvent('system_setting.created', { 1: setting })
export const settingUpdated = defineEvent('system_setting.updated', { 1: setting.extend({ changes }) })
export const settingDeleted = defineEvent('system_setting.deleted', { 1: setting })

export const maintenanceMode = defineEvent('system.maintenance_mode', {
  1: z.object({
    system_data: z.object({
      maintenance_enabled: z.boolean(),
      estimated_duration: z.string().max(20),
      affected_services: z.array(z.string().min(1)).min(1).max(10),
    }),
  }),
})
export const configurationChanged = defineEvent('system.configuration_changed', {
  1: z.object({ system_data: settingData }),
})
export const cacheInvalidated = defineEvent('system.cache_invalidated', {
  1: z.object({
    system_data: z.object({ scope: z.enum(['user', 'icon', 'all']), key: z.string(), reason: z.string() }),
  }),
})
export const healthReported = defineEvent('system.health_reported', {
  1: z.object({
    system_data: z.object({
      service: z.string().min(1),
      status: z.enum(['ok', 'degraded', 'down']),
      checks: z.array(z.object({ name: z.string(), status: z.enum(['ok', 'degraded', 'down']) })).max(10),
    }),
  }),
})
export const performanceReported = defineEvent('system.performance_reported', {
  1: z.object({
    system_data: z.object({
      service: z.string().min(1),
      operation: z.string().min(1),
      duration_ms: z.number().min(0).max(60_000),
      memory_bytes: z.int().min(0),
    }),
  }),
})

export const contracts = [
  userCreated,
  userUpdated,
  userSuspended,
  userDeleted,
  documentCreated,
  documentUpdated,
  documentPublished,
  documentDeleted,
  authLogin,
  authLogout,
  authSessionChanged,
  accountDeleted,
  settingCreated,
  settingUpdated,
  settingDeleted,
  maintenanceMode,
  configurationChanged,
  cacheInvalidated,
  healthReported,
  performanceReported,
]
