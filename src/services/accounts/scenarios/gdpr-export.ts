import { defineScenario } from '../../../index.ts'

export const gdprExport = defineScenario({
  scenario: 'gdpr-export',
  summary: 'a person registers, and later asks for everything that is known',
  steps: [
    { publish: 'user.registered', as: 'user', subject: 'user/${user.data.user_id}' },
    { expect: 'user.tracked', where: 'data.user_id == ${user.data.user_id}', within: '30s' },
    { think: '30s..5m' },
    {
      publish: 'user.data_export_requested',
      as: 'asked',
      set: { 'data.user_id': '${user.data.user_id}' },
      subject: '${user.subject}',
    },
    { expect: 'user.data_export_completed', where: 'data.export_id == ${asked.data.export_id}', within: '30s' },
    { expect: 'email.data_export_sent', where: 'data.user_id == ${user.data.user_id}', within: '10s' },
  ],
})
