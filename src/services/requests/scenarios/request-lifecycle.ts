import { defineScenario } from '../../../index.ts'

/** A request that a manager gives to an executor, who does it, refuses it or is too late. */
export const requestLifecycle = defineScenario({
  scenario: 'request-lifecycle',
  summary: 'somebody asks for a repair; it is offered, accepted and done, refused, or cancelled',
  steps: [
    { publish: 'requests.user.created@2', as: 'applicant', set: { 'data.role': 'applicant' } },
    { publish: 'requests.user.created@2', as: 'executor', set: { 'data.role': 'executor' } },
    {
      publish: 'request.created',
      as: 'request',
      set: { 'data.user_id': '${applicant.data.user_id}', 'data.dispatch': 'by_hand' },
      subject: 'request/${request.data.request_id}',
    },
    { think: '1m..20m' },
    {
      choose: [
        {
          share: 0.1,
          steps: [
            {
              publish: 'request.cancelled',
              set: { 'data.request_id': '${request.data.request_id}', 'data.reason': 'it works again' },
              subject: '${request.subject}',
            },
          ],
        },
        {
          share: 0.9,
          steps: [
            {
              publish: 'assignment.created',
              as: 'offer',
              set: {
                'data.request_id': '${request.data.request_id}',
                'data.executor_id': '${executor.data.user_id}',
              },
              subject: 'assignment/${offer.data.assignment_id}',
            },
            { think: '10s..5m' },
            {
              publish: 'assignment.accepted',
              set: {
                'data.assignment_id': '${offer.data.assignment_id}',
                'data.request_id': '${request.data.request_id}',
                'data.executor_id': '${executor.data.user_id}',
              },
              subject: '${offer.subject}',
            },
            { expect: 'request.assigned', where: 'data.request_id == ${request.data.request_id}', within: '10s' },
            { think: '10m..2h' },
            {
              publish: 'assignment.completed',
              set: {
                'data.assignment_id': '${offer.data.assignment_id}',
                'data.request_id': '${request.data.request_id}',
                'data.executor_id': '${executor.data.user_id}',
              },
              subject: '${offer.subject}',
            },
            { expect: 'request.completed', where: 'data.request_id == ${request.data.request_id}', within: '10s' },
          ],
        },
      ],
    },
  ],
})
