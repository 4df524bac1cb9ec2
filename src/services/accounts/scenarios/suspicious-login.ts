import { defineScenario, type ScenarioStep } from '../../../index.ts'

const fails: ScenarioStep = {
  publish: 'auth.login_failed',
  set: {
    'data.user_id': '${user.data.user_id}',
    'data.auth_data.ip': '198.51.100.23',
    'data.auth_data.country': 'BR',
    'data.reason': 'wrong_password',
  },
  subject: '${user.subject}',
}

export const suspiciousLogin = defineScenario({
  scenario: 'suspicious-login',
  summary: 'somebody far away guesses a password: the account is locked, or its owner is warned',
  steps: [
    { publish: 'user.registered', as: 'user', subject: 'user/${user.data.user_id}' },
    {
      publish: 'auth.login',
      set: {
        'data.user_id': '${user.data.user_id}',
        'data.auth_data.ip': '192.0.2.10',
        'data.auth_data.country': 'GB',
      },
      subject: '${user.subject}',
    },
    { think: '1m..10m' },
    {
      choose: [
        {
          share: 0.5,
          steps: [
            { repeat: 5, steps: [fails, { think: '1s..5s' }] },
            { expect: 'auth.account_locked', where: 'data.user_id == ${user.data.user_id}', within: '10s' },
          ],
        },
        {
          share: 0.5,
          steps: [
            { repeat: '1..3', steps: [fails, { think: '1s..5s' }] },
            {
              publish: 'auth.login',
              set: {
                'data.user_id': '${user.data.user_id}',
                'data.auth_data.ip': '198.51.100.23',
                'data.auth_data.country': 'BR',
              },
              subject: '${user.subject}',
            },
            { expect: 'auth.suspicious_login', where: 'data.user_id == ${user.data.user_id}', within: '10s' },
            { expect: 'email.security_alert_sent', where: 'data.user_id == ${user.data.user_id}', within: '10s' },
          ],
        },
      ],
    },
  ],
})
