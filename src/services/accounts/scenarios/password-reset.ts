import { defineScenario } from '../../../index.ts'

export const passwordReset = defineScenario({
  scenario: 'password-reset',
  summary: 'a person asks for a new password and, most of the time, uses the link within the hour',
  steps: [
    {
      publish: 'user.password_reset_requested',
      as: 'reset',
      subject: 'user/${reset.data.user_id}',
    },
    { expect: 'email.password_reset_sent', where: 'data.user_id == ${reset.data.user_id}', within: '10s' },
    { think: '10s..5m' },
    {
      choose: [
        {
          share: 0.85,
          steps: [
            {
              publish: 'user.password_reset_confirmed',
              set: { 'data.user_id': '${reset.data.user_id}', 'data.request_id': '${reset.data.request_id}' },
              subject: '${reset.subject}',
            },
            {
              expect: 'user.password_reset_completed',
              where: 'data.request_id == ${reset.data.request_id}',
              within: '10s',
            },
          ],
        },
        { share: 0.15, steps: [] },
      ],
    },
  ],
})
