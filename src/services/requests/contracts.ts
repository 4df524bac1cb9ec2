// The events of the bot that takes maintenance requests: 22 types, with the fields that its schema registry documents. Id, time,
// source and correlation travel in the envelope; in the dialect `registry` they stand beside the payload, as its BaseEvent has them.
import { z } from 'zod'
import { defineEvent, sensitive } from '../../index.ts'

/** Users are numbers there, as Telegram has them. */
const userId = z.int().min(1)
const instant = z.iso.datetime({ offset: true })
const reason = z.string().min(1).max(500)
const changes = z.array(z.string().min(1)).max(20)

export const trades = ['electrical', 'plumbing', 'heating', 'cleaning', 'general'] as const
const trade = z.enum(trades)
const role = z.enum(['applicant', 'executor', 'manager'])

const firstName = sensitive(z.string().min(1).max(100))
const lastName = sensitive(z.string().max(100))

const firstUser = z.object({
  user_id: userId,
  telegram_id: z.int().min(1).optional(),
  first_name: firstName,
  last_name: lastName.optional(),
  role,
  specializations: z.array(trade).max(5).optional(),
})

// Another service owns `user.created` here; sinks and sources call these `user.*` (option `rename`), as the documents do.

/** Version 2: one name made of both, and permissions, of which there are none where nobody gave any. */
export const userCreated = defineEvent('requests.user.created', {
  1: firstUser,
  2: {
    schema: firstUser.extend({
      last_name: lastName.nullable().optional(),
      full_name: sensitive(z.string().min(1).max(201)),
      permissions: z.array(z.string().min(1)).max(50).optional(),
    }),
    upcast: (old) => ({ ...old, full_name: fullName(old.first_name, old.last_name), permissions: [] }),
  },
})
export const userUpdated = defineEvent('requests.user.updated', {
  1: firstUser.partial().required({ user_id: true }).extend({ changes }),
})
export const userVerified = defineEvent('requests.user.verified', {
  1: z.object({ user_id: userId, document: z.enum(['passport', 'licence', 'certificate']), verified_by: userId }),
})
export const userDeleted = defineEvent('requests.user.deleted', {
  1: z.object({ user_id: userId, reason: reason.optional() }),
})

const request = { request_id: z.uuid() }
const urgency = z.enum(['low', 'normal', 'high', 'critical'])

export const requestCreated = defineEvent('request.created', {
  1: z.object({
    ...request,
    user_id: userId,
    category: trade,
    urgency,
    description: z.string().min(1).max(2_000),
    address: sensitive(z.string().min(1).max(300)),
    /** By hand: a manager offers it to somebody, by `assignment.created`. */
    dispatch: z.enum(['automatic', 'by_hand']),
  }),
})
export const requestUpdated = defineEvent(
  'request.updated',
  { 1: z.object({ ...request, urgency: urgency.optional(), description: z.string().max(2_000).optional(), changes }) },
  { lifecycle: { after: ['created'] } },
)
export const requestAssigned = defineEvent(
  'request.assigned',
  { 1: z.object({ ...request, executor_id: userId, assignment_id: z.uuid() }) },
  { lifecycle: { after: ['created', 'updated'] } },
)
export const requestCompleted = defineEvent(
  'request.completed',
  { 1: z.object({ ...request, executor_id: userId, report: z.string().max(2_000).optional() }) },
  { lifecycle: { after: ['assigned'], ends: true } },
)
export const requestCancelled = defineEvent(
  'request.cancelled',
  { 1: z.object({ ...request, reason }) },
  { lifecycle: { after: ['created', 'updated', 'assigned'], ends: true } },
)

const assignment = z.object({ assignment_id: z.uuid(), request_id: z.uuid(), executor_id: userId })

export const assignmentCreated = defineEvent('assignment.created', { 1: assignment })
export const assignmentAccepted = defineEvent(
  'assignment.accepted',
  { 1: assignment },
  { lifecycle: { after: ['created'] } },
)
export const assignmentRejected = defineEvent(
  'assignment.rejected',
  // Final: nobody else is asked.
  { 1: assignment.extend({ reason, is_final: z.boolean().optional() }) },
  { lifecycle: { after: ['created'], ends: true } },
)
export const assignmentCompleted = defineEvent(
  'assignment.completed',
  { 1: assignment.extend({ report: z.string().max(2_000).optional() }) },
  { lifecycle: { after: ['accepted'], ends: true } },
)

const shift = { shift_id: z.uuid() }
const hours = { starts_at: instant, duration_minutes: z.int().min(15).max(1_440) }

export const shiftCreated = defineEvent('shift.created', { 1: z.object({ ...shift, ...hours, district: z.string() }) })
export const shiftUpdated = defineEvent(
  'shift.updated',
  { 1: z.object({ ...shift, ...hours, changes }) },
  { lifecycle: { after: ['created'] } },
)
export const shiftAssigned = defineEvent(
  'shift.assigned',
  { 1: z.object({ ...shift, executor_id: userId }) },
  { lifecycle: { after: ['created', 'updated'] } },
)
/** The one who had it is who stands in the shift. */
export const shiftTransferred = defineEvent(
  'shift.transferred',
  { 1: z.object({ ...shift, executor_id: userId, reason: reason.optional() }) },
  { lifecycle: { after: ['assigned', 'transferred'] } },
)

const notification = { notification_id: z.uuid(), user_id: userId }
const channel = z.enum(['telegram', 'email', 'sms'])

export const notificationSend = defineEvent(
  'notification.send',
  { 1: z.object({ ...notification, channel, template: z.string().min(1).max(100), about: z.string().max(200) }) },
  { lifecycle: { begins: true } },
)
export const notificationDelivered = defineEvent(
  'notification.delivered',
  { 1: z.object({ ...notification, channel, attempts: z.int().min(1).max(100) }) },
  { lifecycle: { after: ['send'], ends: true } },
)
export const notificationFailed = defineEvent(
  'notification.failed',
  { 1: z.object({ ...notification, channel, attempts: z.int().min(1).max(100), reason }) },
  { lifecycle: { after: ['send'], ends: true } },
)

const service = z.string().regex(/^[a-z][a-z0-9-]{0,62}$/)

export const systemHealthCheck = defineEvent('system.health_check', {
  1: z.object({
    service,
    status: z.enum(['healthy', 'degraded', 'unhealthy']),
    checks: z.array(z.object({ name: z.string().min(1), status: z.enum(['healthy', 'unhealthy']) })).max(10),
  }),
})
export const systemError = defineEvent('system.error', {
  1: z.object({
    service,
    error_type: z.string().min(1).max(200),
    message: z.string().max(2_000),
    severity: z.enum(['warning', 'error', 'critical']),
  }),
})

export const contracts = [
  userCreated,
  userUpdated,
  userVerified,
  userDeleted,
  requestCreated,
  requestUpdated,
  requestAssigned,
  requestCompleted,
  requestCancelled,
  assignmentCreated,
  assignmentAccepted,
  assignmentRejected,
  assignmentCompleted,
  shiftCreated,
  shiftUpdated,
  shiftAssigned,
  shiftTransferred,
  notificationSend,
  notificationDelivered,
  notificationFailed,
  systemHealthCheck,
  systemError,
]

export function fullName(first: string, last: string | null | undefined): string {
  return [first, last].filter(Boolean).join(' ')
}
