import { defineScenario } from '../../../index.ts'

/** A company signs up, opens its locations, invites its people, and some pay when the trial ends. */
export const tenantOnboarding = defineScenario({
  scenario: 'tenant-onboarding',
  summary: 'a tenant signs up, opens locations, invites people, tries a feature, and pays or leaves',
  steps: [
    { publish: 'tenant.created', as: 'tenant' },
    { think: '1m..10m' },
    {
      repeat: '1..3',
      steps: [
        {
          publish: 'location.created',
          set: { 'data.tenant_id': '${tenant.data.tenant_id}', 'data.location_data.is_active': true },
        },
        { think: '30s..2m' },
      ],
    },
    {
      repeat: '1..5',
      steps: [
        {
          publish: 'user.registered',
          as: 'user',
          set: {
            'data.tenant_id': '${tenant.data.tenant_id}',
            'data.registered_by': 'invitation',
            'data.roles': ['member'],
          },
        },
        { expect: 'role.changed', where: 'data.user_id == ${user.data.user_id}', within: '10s' },
        { think: '1m..1h' },
      ],
    },
    {
      publish: 'feature_flag.configured',
      as: 'flag',
      set: { 'data.tenant_id': '${tenant.data.tenant_id}', 'data.flag': 'new_checkout', 'data.enabled': true },
    },
    {
      repeat: '2..6',
      steps: [
        { think: '1m..30m' },
        {
          publish: 'feature_flag.used',
          set: { 'data.tenant_id': '${tenant.data.tenant_id}', 'data.flag': '${flag.data.flag}', 'data.enabled': true },
        },
      ],
    },
    { think: '1d..14d' },
    {
      choose: [
        {
          share: 0.8,
          steps: [
            {
              publish: 'subscription.changed',
              set: { 'data.tenant_id': '${tenant.data.tenant_id}', 'data.status': 'active' },
            },
          ],
        },
        {
          share: 0.2,
          steps: [{ publish: 'tenant.deleted', set: { 'data.tenant_id': '${tenant.data.tenant_id}' } }],
        },
      ],
    },
  ],
})
