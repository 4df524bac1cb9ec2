import type { AlertRule } from '../../index.ts'

/** What somebody has to hear of; each is a pattern of events. */
export const alerts: readonly AlertRule[] = [
  {
    name: 'validation-failures',
    when: { count: 'validation.failed', atLeast: 20, within: '1m' },
    to: ['log', 'event'],
  },
  {
    // The same record again and again: its sender does not read the answers.
    name: 'validation-stubborn-record',
    when: { sequence: ['validation.failed', 'validation.failed', 'validation.failed'], within: '10m', by: 'subject' },
    to: ['log', 'event'],
  },
  {
    name: 'validation-unanswered',
    when: {
      missing: { type: ['validation.completed', 'validation.failed'] },
      after: 'validation.submitted',
      within: '1m',
      by: 'correlation',
    },
    severity: 'critical',
    to: ['log', 'event'],
  },
]
