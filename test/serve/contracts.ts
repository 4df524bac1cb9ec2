import { z } from 'zod'
import { createRegistry, defineEvent, sensitive } from '../../src/index.ts'

const created = defineEvent('user.created', { 1: z.object({ name: z.string(), n: z.number().optional() }) })
const ordered = defineEvent('order.placed', {
  1: z.object({ total: z.number(), card: sensitive(z.string()).optional() }),
})
export const registry = createRegistry([created, ordered])
