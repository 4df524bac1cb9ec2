import { defineService } from '../../index.ts'
import { alerts } from './alerts.ts'
import { contracts } from './contracts.ts'
import { errors } from './handlers/errors.ts'
import { metrics } from './handlers/metrics.ts'
import { monitoring } from './handlers/monitoring.ts'
import { validator } from './handlers/validator.ts'
import { validationRun } from './scenarios/validation-run.ts'
import { validationSchema } from './schema.ts'

/** The validation service: records are submitted, validated in phases, and every step is an event that others watch. */
export const validation = defineService({
  name: 'validation',
  contracts,
  handlers: [validator, monitoring, errors, metrics],
  migrations: [validationSchema],
  alerts,
  scenarios: [validationRun],
  publishes: ['validation.*', 'performance.*'],
  subscribes: ['validation.*', 'performance.*'],
})
