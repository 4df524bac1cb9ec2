import { defineScenario } from '../../../index.ts'

const healthOf = (status: string) => ({
  publish: 'system.health_check',
  set: { 'data.service': 'notification-service', 'data.status': status },
})

/** A service gets worse, reports errors, and recovers. */
export const incident = defineScenario({
  scenario: 'incident',
  summary:
    'a service is healthy, degraded, full of errors, unhealthy and healthy again, while somebody waits for a repair',
  steps: [
    healthOf('healthy'),
    {
      publish: 'request.created',
      as: 'request',
      set: { 'data.urgency': 'critical', 'data.dispatch': 'by_hand' },
      subject: 'request/${request.data.request_id}',
    },
    { think: '10s..1m' },
    healthOf('degraded'),
    {
      repeat: '5..20',
      steps: [
        {
          publish: 'system.error',
          set: { 'data.service': 'notification-service', 'data.error_type': 'TimeoutError', 'data.severity': 'error' },
        },
        { think: '1s..10s' },
      ],
    },
    healthOf('unhealthy'),
    {
      publish: 'system.error',
      set: { 'data.service': 'notification-service', 'data.error_type': 'ChannelDown', 'data.severity': 'critical' },
    },
    { think: '1m..15m' },
    healthOf('healthy'),
    {
      publish: 'request.cancelled',
      set: { 'data.request_id': '${request.data.request_id}', 'data.reason': 'nobody could be told' },
      subject: '${request.subject}',
    },
  ],
})
