import { defineAnnouncement } from '../../../index.ts'
import { contracts } from '../contracts.ts'

/** For whoever LISTENs: `psql -c 'listen auth_events'`, `evt tail --source 'postgres://…?channel=auth_events'`. */
export const announce = defineAnnouncement({
  name: 'accounts.announce',
  on: contracts.filter(({ type }) => type.startsWith('auth.')),
  channel: 'auth_events',
})
