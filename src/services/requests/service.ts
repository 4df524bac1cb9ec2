import { defineService } from '../../index.ts'
import { contracts } from './contracts.ts'
import { assignments } from './handlers/assignments.ts'
import { errors } from './handlers/errors.ts'
import { health } from './handlers/health.ts'
import { notices } from './handlers/notices.ts'
import { deliveries, notifications } from './handlers/notifications.ts'
import { requests as requestStates } from './handlers/requests.ts'
import { shifts } from './handlers/shifts.ts'
import { users } from './handlers/users.ts'
import { assignment } from './sagas/assignment.ts'
import { incident } from './scenarios/incident.ts'
import { requestLifecycle } from './scenarios/request-lifecycle.ts'
import { shiftDay } from './scenarios/shift-day.ts'
import { requestsSchema } from './schema.ts'

/** The request service: people ask for repairs, executors on shifts are asked, accept and do them, and everybody is told. */
export const requests = defineService({
  name: 'requests',
  contracts,
  handlers: [users, requestStates, assignments, shifts, notices, notifications, deliveries, health, errors],
  sagas: [assignment],
  scenarios: [shiftDay, requestLifecycle, incident],
  migrations: [requestsSchema],
  publishes: ['request.*', 'assignment.*', 'notification.*'],
})
