import { expect, expectTypeOf, it } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import type { NewEvent } from '../../src/core/event.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createEventBus, type EventBus } from '../../src/event-bus.ts'
import type { PublishOutcome } from '../../src/publish/outcome.ts'
import type { Publisher } from '../../src/publish/publisher-to-store.ts'
import { publishersOf } from '../../src/publish/publishers-of.ts'

const userRegistered = defineEvent('user.registered', {
  1: z.object({ email: z.string() }),
  2: { schema: z.object({ email: z.string(), age: z.number() }), upcast: (old) => ({ ...old, age: 0 }) },
})
const orderPlaced = defineEvent('order.placed', { 1: z.object({ total: z.number() }) })

it('publishes by name, with the type and the version of the contract', () => {
  const publish = publishersOf((event: NewEvent) => event, {
    userRegistered,
    first: userRegistered.v1,
    orderPlaced,
    other: 7,
  })
  expect(Object.keys(publish)).toEqual(['userRegistered', 'first', 'orderPlaced'])
  expect(publish.userRegistered({ email: 'a', age: 1 }, { subject: 'user/1', priority: 'high' })).toEqual({
    type: 'user.registered',
    version: 2,
    data: { email: 'a', age: 1 },
    subject: 'user/1',
    priority: 'high',
  })
  expect(publish.first({ email: 'a' })).toMatchObject({ version: 1 })
  expect(() => publishersOf((event) => event, { none: 1 })).toThrow(/no contract/)
})

it('is typed by the contracts', () => {
  const publish = publishersOf({} as EventBus['publish'], { userRegistered, orderPlaced, other: 7 })
  expectTypeOf(publish).not.toHaveProperty('other')
  expectTypeOf(publish.userRegistered).parameter(0).toEqualTypeOf<{ email: string; age: number }>()
  expectTypeOf(publish.userRegistered).returns.toEqualTypeOf<Promise<PublishOutcome>>()
  // @ts-expect-error a field of another type
  const wrong = () => publish.orderPlaced({ total: '1' })
  // @ts-expect-error the type is the contract's
  const typed = () => publish.orderPlaced({ total: 1 }, { type: 'order.other' })
  expectTypeOf([wrong, typed]).toBeArray()
  expectTypeOf(publishersOf({} as Publisher['send'], { orderPlaced }).orderPlaced).returns.toEqualTypeOf<
    Promise<PublishOutcome>
  >()
})

it('publishes over a bus', async () => {
  const bus = createEventBus({ url: 'memory://publishers-of', registry: createRegistry([userRegistered]) })
  await bus.start()
  const seen: unknown[] = []
  await bus.subscribe(userRegistered, (event) => void seen.push(event.data))
  const publish = publishersOf(bus.publish, { userRegistered })
  expect((await publish.userRegistered({ email: 'a', age: 1 }, { subject: 'user/1' })).state).toBe('stored')
  await expect.poll(() => seen).toEqual([{ email: 'a', age: 1 }])
  await bus.stop()
})
