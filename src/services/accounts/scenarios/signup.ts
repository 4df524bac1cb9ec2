import { defineScenario } from '../../../index.ts'

export const signup = defineScenario({
  scenario: 'signup',
  summary:
    'a person registers, is welcomed, confirms the address and logs in; some protect the account with a second factor',
  steps: [
    { publish: 'user.registered', as: 'user', subject: 'user/${user.data.user_id}' },
    {
      expect: 'user.registration_completed',
      where: 'data.user_id == ${user.data.user_id}',
      within: '30s',
    },
    { think: '5s..60s' },
    {
      publish: 'user.email_verified',
      set: { 'data.user_id': '${user.data.user_id}' },
      subject: '${user.subject}',
    },
    {
      publish: 'auth.login',
      as: 'login',
      set: { 'data.user_id': '${user.data.user_id}' },
      subject: '${user.subject}',
    },
    { think: '10s..2m' },
    {
      choose: [
        {
          share: 0.3,
          steps: [
            {
              publish: 'auth.mfa_enrolled',
              set: { 'data.user_id': '${user.data.user_id}' },
              subject: '${user.subject}',
            },
          ],
        },
        { share: 0.7, steps: [] },
      ],
    },
    {
      publish: 'auth.logout',
      set: { 'data.user_id': '${user.data.user_id}', 'data.auth_data': '${login.data.auth_data}' },
      subject: '${user.subject}',
    },
  ],
})
