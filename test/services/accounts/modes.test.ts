import { setTimeout as delay } from 'node:timers/promises'
import { expect, it, onTestFinished } from 'vitest'
import {
  createPublisher,
  createRegistry,
  type HandlerDefinition,
  type Middleware,
  type NewEvent,
} from '../../../src/index.ts'
import { aboutUser } from '../../../src/services/accounts/about-user.ts'
import { authRoleChanged } from '../../../src/services/accounts/contracts.ts'
import { accounts } from '../../../src/services/accounts/service.ts'
import { startBridge } from '../../sagas/running.ts'
import { createTestDatabase } from '../../setup/database.ts'
import { until } from '../../setup/until.ts'
import { failsToLogIn, registers } from './people.ts'

const someone = () => registers().data.user_id

/** The three handlers of the platform's document, and an event that each takes. The log's events share transactions, of which there are four. */
const handlers: Readonly<Record<string, { readonly least: number; readonly most: number; event(): NewEvent }>> = {
  'accounts.user-authentication': { least: 5, most: 5, event: () => registers() },
  'accounts.security': { least: 10, most: 10, event: () => failsToLogIn(someone()) },
  'accounts.auth-audit-log': {
    least: 4,
    most: 20,
    event: () => aboutUser(authRoleChanged, { user_id: someone(), roles: [] }),
  },
}

it('each runs as many events at the same time as the document says, and no more', async () => {
  const seen: Record<string, { now: number; most: number; done: number }> = {}
  const counting = (name: string): Middleware => {
    const own = { now: 0, most: 0, done: 0 }
    seen[name] = own
    const full = Promise.withResolvers<void>()
    return {
      async around(_, __, next) {
        own.now += 1
        own.most = Math.max(own.most, own.now)
        if (own.now === handlers[name]?.least) full.resolve()
        await full.promise
        // Time for one too many to come in.
        await delay(1)
        const handled = await next()
        own.now -= 1
        own.done += 1
        return handled
      },
    }
  }
  const { store, url } = await createTestDatabase()
  const three = (accounts.handlers as readonly HandlerDefinition[]).filter(({ name }) => name in handlers)
  const service = {
    ...accounts,
    sagas: [],
    handlers: three.map((one) => ({ ...one, takes: 1, use: counting(one.name) })),
  }
  await startBridge(url, { services: [service], connections: 24 })
  const publisher = createPublisher({ store, registry: createRegistry(accounts.contracts), source: 'web' })
  onTestFinished(() => publisher.close())
  for (const [name, { least, most, event }] of Object.entries(handlers)) {
    await publisher.publishAll(Array.from({ length: 2 * most }, event))
    await until(() => (seen[name]?.done ?? 0) >= 2 * most, { withinMs: 20_000, what: `${name} has handled all` })
    expect(seen[name]?.most, name).toBeGreaterThanOrEqual(least)
    expect(seen[name]?.most, name).toBeLessThanOrEqual(most)
  }
})
