import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import type { ServiceDefinition } from '../../src/handle/define-service.ts'
import { createTestDatabase } from '../setup/database.ts'

const userCreated = defineEvent('user.created', { 1: z.object({ name: z.string() }) })

test('a migration that fails is named, and a type that nobody knows is said', async () => {
  await using database = await createTestDatabase()
  const said: object[] = []
  const silent = () => {}
  const log = {
    debug: silent,
    info: silent,
    error: silent,
    warn: (message: string, fields?: object) => said.push({ message, ...fields }),
  }
  const shop: ServiceDefinition = {
    name: 'shop',
    contracts: [userCreated],
    handlers: [{ name: 'shop.greet', on: ['user.creatd', 'payment.made', 'user.*'], handle() {} }],
  }
  const migrations = ['create table if not exists greeted (id text)', 'create tabel x (id text)']
  const broken = createBridge({ store: database.url, services: [{ ...shop, migrations }], log })
  await expect(broken.start()).rejects.toMatchObject({
    code: 'config',
    message: 'cannot set up service shop: migrations.1: syntax error at or near "tabel" in "create tabel x (id text)"',
    hint: expect.stringContaining('none of its migrations was kept'),
  })
  const bridge = createBridge({ store: database.url, services: [shop], log, roles: ['handlers'] })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  expect(said.filter((one) => 'type' in one)).toEqual([
    {
      message: 'a handler listens to a type that no contract knows',
      handler: 'shop.greet',
      type: 'user.creatd',
      hint: 'did you mean user.created?',
    },
  ])
})
