// What a record of each kind must be: its fields, the rules between them, and the other records that it names.
import { z } from 'zod'

export interface Finding {
  /** Dotted; empty for the whole record. */
  readonly fieldPath: string
  readonly code: string
  /** Never holds a value: it stands in events. */
  readonly message: string
}

export interface Reference {
  readonly fieldPath: string
  readonly kind: string
  readonly recordId: string
}

const customer = z.object({
  id: z.string().min(1),
  name: z.string().min(1).max(200),
  email: z.email(),
  country: z.string().regex(/^[A-Z]{2}$/, 'two capital letters'),
})
const invoice = z.object({
  id: z.string().min(1),
  customerId: z.string().min(1),
  lines: z
    .array(z.object({ sku: z.string().min(1), quantity: z.int().min(1), priceCents: z.int().min(0) }))
    .min(1)
    .max(1_000),
  totalCents: z.int().min(0),
  issuedOn: z.iso.date(),
  dueOn: z.iso.date(),
})

interface Kind<T> {
  readonly schema: z.ZodType<T>
  rules(record: T): readonly Finding[]
  references(record: T): readonly Reference[]
}

const customers: Kind<z.infer<typeof customer>> = {
  schema: customer,
  rules: ({ name }) =>
    name.trim() === name ? [] : [{ fieldPath: 'name', code: 'space-around', message: 'begins or ends with a space' }],
  references: () => [],
}
const invoices: Kind<z.infer<typeof invoice>> = {
  schema: invoice,
  rules({ lines, totalCents, issuedOn, dueOn }) {
    const sum = lines.reduce((total, { quantity, priceCents }) => total + quantity * priceCents, 0)
    return [
      ...(sum === totalCents
        ? []
        : [{ fieldPath: 'totalCents', code: 'wrong-sum', message: 'is not the sum of the lines' }]),
      ...(dueOn >= issuedOn
        ? []
        : [{ fieldPath: 'dueOn', code: 'before-issue', message: 'lies before the day of issue' }]),
    ]
  },
  references: ({ customerId }) => [{ fieldPath: 'customerId', kind: 'customer', recordId: customerId }],
}

// biome-ignore lint/suspicious/noExplicitAny: each kind's schema gives what its own rules take
export const kinds: Readonly<Record<'customer' | 'invoice', Kind<any>>> = { customer: customers, invoice: invoices }
