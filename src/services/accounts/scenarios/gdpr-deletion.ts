import { defineScenario } from '../../../index.ts'

export const gdprDeletion = defineScenario({
  scenario: 'gdpr-deletion',
  summary: 'a person registers, logs in, and wants to be forgotten',
  steps: [
    { publish: 'user.registered', as: 'user', subject: 'user/${user.data.user_id}' },
    {
      expect: 'user.registration_completed',
      where: 'data.user_id == ${user.data.user_id}',
      within: '30s',
    },
    { think: '10s..2m' },
    {
      publish: 'auth.login',
      set: { 'data.user_id': '${user.data.user_id}' },
      subject: '${user.subject}',
    },
    { think: '10s..5m' },
    {
      publish: 'user.deletion_requested',
      set: { 'data.user_id': '${user.data.user_id}' },
      subject: '${user.subject}',
    },
    { expect: 'account.deleted', where: 'data.user_id == ${user.data.user_id}', within: '30s' },
  ],
})
