import { defineScenario } from '../../../index.ts'

const customer =
  '{"id": "customer-${broken.data.runId}", "name": "Ada Lovelace", "email": "ada@example.com", "country": "GB"}'
const invoice = (totalCents: number) =>
  `{"id": "invoice-\${broken.data.runId}", "customerId": "\${customer.data.recordId}", "totalCents": ${totalCents},
    "lines": [{"sku": "icon-set", "quantity": 3, "priceCents": 400}], "issuedOn": "2026-01-02", "dueOn": "2026-02-02"}`

const submitInvoice = (as: string, totalCents: number) => ({
  publish: 'validation.submitted',
  as,
  subject: `record/\${${as}.data.recordId}`,
  set: {
    'data.kind': 'invoice',
    'data.recordId': 'invoice-${broken.data.runId}',
    'data.body': invoice(totalCents),
  },
})

/** A sender whose first try is cut off, who sends it again, and then an invoice whose sum is sometimes wrong. */
export const validationRun = defineScenario({
  scenario: 'validation-run',
  summary: 'a record is refused, mended and accepted; an invoice names it',
  steps: [
    {
      publish: 'validation.submitted',
      as: 'broken',
      subject: 'record/customer-${broken.data.runId}',
      set: { 'data.kind': 'customer', 'data.body': '{"id": ' },
    },
    {
      expect: 'validation.failed',
      where: 'data.runId == ${broken.data.runId} and data.phase == "parse"',
      within: '10s',
    },
    { think: '1s..5s' },
    {
      publish: 'validation.submitted',
      as: 'customer',
      subject: 'record/${customer.data.recordId}',
      set: { 'data.kind': 'customer', 'data.recordId': 'customer-${broken.data.runId}', 'data.body': customer },
    },
    { expect: 'validation.completed', where: 'data.runId == ${customer.data.runId}', within: '10s' },
    { think: '2s..30s' },
    {
      choose: [
        {
          share: 0.7,
          steps: [
            submitInvoice('invoice', 1_200),
            { expect: 'validation.completed', where: 'data.runId == ${invoice.data.runId}', within: '10s' },
          ],
        },
        {
          share: 0.3,
          steps: [
            submitInvoice('wrong', 1_100),
            { expect: 'validation.failed', where: 'data.runId == ${wrong.data.runId}', within: '10s' },
          ],
        },
      ],
    },
  ],
})
