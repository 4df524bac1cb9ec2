import { expect, it } from 'vitest'
import { z } from 'zod'
import { resolveAlerts } from '../../src/core/alerts/resolve-alerts.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { defineService, type ServiceDefinition } from '../../src/handle/define-service.ts'
import { assertServices } from '../../src/handle/service-shape.ts'
import { defineProjection } from '../../src/replay/define-projection.ts'
import { defineSaga } from '../../src/sagas/define-saga.ts'

const service = (more: object = {}) => ({ name: 'shop', contracts: [], handlers: [], ...more }) as ServiceDefinition
const placed = defineEvent('order.placed', { 1: z.object({ total: z.number() }) })
const refusal = (message: string, hint?: string) =>
  expect.objectContaining({ code: 'config', message, ...(hint ? { hint: expect.stringContaining(hint) } : {}) })

it.each<[string, unknown[], string, string]>([
  [
    'an option that no service has',
    [service({ handler: [] })],
    'cannot use services.0: it has no option handler',
    'handlers?',
  ],
  ['no name', [service({ name: 5 })], 'cannot use services.0: its name is 5', 'lower-case'],
  ['no handlers', [{ name: 'shop', contracts: [] }], 'cannot use services.0: handlers is no list', 'defineHandler'],
  ['a name twice', [service(), service()], 'cannot use services.1: there are two services of the name shop', 'once'],
  [
    'half a handler',
    [service({ handlers: [{ name: 'shop.x' }] })],
    'cannot use services.0.handlers.0 (shop.x): it listens to nothing',
    'on',
  ],
  ['no handler', [service({ handlers: [null] })], 'cannot use services.0.handlers.0: it is no object', 'defineHandler'],
])('services with %s are refused with the path', (_, given, message, hint) => {
  expect(() => assertServices(given as ServiceDefinition[])).toThrow(refusal(message, hint))
})

it('what define… takes is checked by its keys', () => {
  expect(() => defineService(service({ contract: [] }))).toThrow(
    refusal('cannot define service "shop": it has no option contract', 'did you mean contracts?'),
  )
  const saga = { name: 'shop.fulfil', startsOn: placed, state: z.object({}), steps: () => [] }
  expect(() => defineSaga({ ...saga, timout: '1m' } as never)).toThrow(
    refusal('cannot define saga "shop.fulfil": it has no option timout', 'did you mean timeout?'),
  )
  const steps = ({ step }: { step: (name: string, options: object) => unknown }) => [
    step('pay', { run() {}, compensates() {} }),
  ]
  expect(() => defineSaga({ ...saga, steps } as never)).toThrow(
    refusal('cannot define saga "shop.fulfil": step pay: it has no option compensates', 'did you mean compensate?'),
  )
  const projection = { name: 'totals', on: [placed], tables: { sums: 'id text' }, apply() {} }
  expect(() => defineProjection({ ...projection, versoin: 2 } as never)).toThrow(
    refusal('cannot define projection "totals": it has no option versoin', 'did you mean version?'),
  )
})

it('an alert that is switched off by a name that no rule has is refused', () => {
  expect(() => resolveAlerts([{ name: 'latency-spiek', off: true }], 0)).toThrow(/did you mean latency-spike/)
  expect(() => resolveAlerts([{ name: 'latency-spike', offf: true } as never], 0)).toThrow(
    refusal('cannot use the alert latency-spike: it has no option offf', 'did you mean off?'),
  )
})
