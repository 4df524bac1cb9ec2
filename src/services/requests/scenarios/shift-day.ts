import { defineScenario } from '../../../index.ts'

/** A shift is planned, given to somebody, and on some days taken over by a colleague. */
export const shiftDay = defineScenario({
  scenario: 'shift-day',
  summary: 'a shift is planned and assigned, its executor is told, and sometimes a colleague takes it over',
  steps: [
    { publish: 'requests.user.created@2', as: 'early', set: { 'data.role': 'executor' } },
    { publish: 'requests.user.created@2', as: 'late', set: { 'data.role': 'executor' } },
    { publish: 'shift.created', as: 'shift', subject: 'shift/${shift.data.shift_id}' },
    { think: '1m..30m' },
    {
      publish: 'shift.assigned',
      set: { 'data.shift_id': '${shift.data.shift_id}', 'data.executor_id': '${early.data.user_id}' },
      subject: '${shift.subject}',
    },
    { expect: 'notification.delivered', where: 'data.user_id == ${early.data.user_id}', within: '10s' },
    {
      choose: [
        { share: 0.7, steps: [{ think: '4h..8h' }] },
        {
          share: 0.3,
          steps: [
            { think: '1h..4h' },
            {
              publish: 'shift.transferred',
              set: { 'data.shift_id': '${shift.data.shift_id}', 'data.executor_id': '${late.data.user_id}' },
              subject: '${shift.subject}',
            },
            { expect: 'notification.delivered', where: 'data.user_id == ${late.data.user_id}', within: '10s' },
          ],
        },
      ],
    },
    { publish: 'system.health_check', set: { 'data.service': 'shift-service', 'data.status': 'healthy' } },
  ],
})
