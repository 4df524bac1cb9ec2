import { expect, it } from 'vitest'
import { createEncoder } from '../../src/relay/encode.ts'

const entry = {
  position: 7n,
  slot: 0,
  class: 'standard',
  priority: 'normal' as const,
  id: 'e-1',
  type: 'user.created',
  subject: 'u-1',
  headers: { 'ce-id': 'e-1', 'ce-type': 'user.created' },
  dataText: '{}',
  recordedMs: 1,
  sequencedMs: 2,
}

it('says with each position which log it is of: the store and the sink', () => {
  const encode = createEncoder({ dialect: undefined, storeId: 'store-a', sink: 'orders', content: 'bytes' })
  expect(encode(entry)).toMatchObject({ log: 7n, logId: 'store-a/orders' })
})
