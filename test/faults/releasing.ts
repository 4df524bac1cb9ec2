// What the process of `releasing.test.ts` and the test itself have to know alike.
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { defineProjection } from '../../src/index.ts'

const numbered = z.object({ sequence: z.number() })

export const known = defineEvent('fault.known', {
  1: numbered,
  2: { schema: numbered.extend({ more: z.boolean() }), upcast: (old) => ({ ...old, more: false }) },
})
export const due = defineEvent('fault.due', { 1: numbered })

export const projection = defineProjection({
  name: 'fault_totals',
  on: ['fault.*'],
  tables: { totals: 'subject text primary key, events int not null, last int not null' },
  async apply({ subject, data }, { sql }) {
    const { sequence } = data as { sequence: number }
    await sql`insert into totals values (${subject}, 1, ${sequence}) on conflict (subject)
      do update set events = totals.events + 1, last = excluded.last`
  },
})
