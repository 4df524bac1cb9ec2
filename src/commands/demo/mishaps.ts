import { defineScenario } from '../../generators/scenario/define-scenario.ts'

const ofProduct = { 'data.product_id': '${product.data.product_id}', 'data.tenant_id': '${product.data.tenant_id}' }
const atThatTime = {
  'data.starts_at': '${first.data.starts_at}',
  'data.duration_minutes': '${first.data.duration_minutes}',
}
const assigned = (shift: string) => ({
  publish: 'shift.assigned',
  subject: `\${${shift}.subject}`,
  set: { 'data.shift_id': `\${${shift}.data.shift_id}`, 'data.executor_id': '${executor.data.user_id}' },
})

/** What goes wrong though every event is as its contract has it: a handler refuses the last one, for a reason of its own. */
export const mishaps = [
  defineScenario({
    scenario: 'oversold',
    summary: 'more is taken from the shelf than lay there',
    steps: [
      { publish: 'product.created', as: 'product' },
      {
        publish: 'location.created',
        as: 'shop',
        set: { 'data.tenant_id': '${product.data.tenant_id}', 'data.location_data.is_active': true },
      },
      {
        publish: 'inventory.adjusted',
        subject: '${product.subject}',
        set: {
          ...ofProduct,
          'data.location_id': '${shop.data.location_id}',
          'data.delta': -5,
          'data.reason': 'damage',
        },
      },
    ],
  }),
  defineScenario({
    scenario: 'done-before-asked',
    summary: 'a repair is reported done that was given to nobody',
    steps: [
      {
        publish: 'request.created',
        as: 'request',
        subject: 'request/${request.data.request_id}',
        set: { 'data.dispatch': 'by_hand' },
      },
      {
        publish: 'request.completed',
        subject: '${request.subject}',
        set: { 'data.request_id': '${request.data.request_id}' },
      },
    ],
  }),
  defineScenario({
    scenario: 'double-booked',
    summary: 'one executor gets two shifts at the same time',
    steps: [
      { publish: 'requests.user.created@2', as: 'executor', set: { 'data.role': 'executor' } },
      { publish: 'shift.created', as: 'first', subject: 'shift/${first.data.shift_id}' },
      { publish: 'shift.created', as: 'second', subject: 'shift/${second.data.shift_id}', set: atThatTime },
      assigned('first'),
      { think: '2m' },
      assigned('second'),
    ],
  }),
]

/** Events of these no longer fit their contract: it refuses them before a handler sees them. */
export const garbled = {
  types: ['subscription.changed', 'validation.submitted'],
  kinds: ['wrong-type', 'missing-field', 'unknown-version'],
} as const
