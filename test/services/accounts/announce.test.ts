import pg from 'pg'
import { expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../../src/bridge.ts'
import { createRegistry } from '../../../src/core/registry.ts'
import { createPublisher } from '../../../src/create-publisher.ts'
import { defineAnnouncement } from '../../../src/handle/define-announcement.ts'
import { contracts } from '../../../src/services/accounts/contracts.ts'
import { announce } from '../../../src/services/accounts/handlers/announce.ts'
import { accounts } from '../../../src/services/accounts/service.ts'
import { start } from '../../commands/evt.ts'
import { createTestDatabase } from '../../setup/database.ts'
import { until } from '../../setup/until.ts'
import { logsIn } from './people.ts'

it('logins are told on auth_events, to whoever listens in SQL and to evt tail, without what is personal', async () => {
  expect(accounts.handlers).toContain(announce)
  const { url, store } = await createTestDatabase()
  const registry = createRegistry(contracts)
  const bridge = createBridge({ store: url, handlers: [announce], registry })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  const heard: Record<string, unknown>[] = []
  const client = new pg.Client({ connectionString: url })
  onTestFinished(() => client.end())
  client.on('notification', ({ payload = '' }) => heard.push(JSON.parse(payload)))
  await client.connect()
  await client.query('listen auth_events')
  const publisher = createPublisher({ store, registry, source: 'test' })
  onTestFinished(() => publisher.close())
  const login = { ...logsIn('018f9d2e-7b11-7a22-8c33-1234567890ab', { ip: '192.0.2.77' }), correlationId: 'c-1' }
  const running = start(['tail', '--source', `${url}?channel=auth_events`], {})
  // What is told before LISTEN is in force nobody hears: people log in until it is heard.
  const loggingIn = setInterval(() => void publisher.send(login), 100)
  onTestFinished(() => clearInterval(loggingIn))
  await running.said(/auth\.login/)
  clearInterval(loggingIn)
  running.signal('SIGINT')
  const { stdout } = await running.ended
  const { user_id, auth_data } = login.data
  expect(heard[0]).toEqual({
    ...{ event_type: 'auth.login', event_id: expect.any(String), timestamp: expect.any(String) },
    ...{ correlation_id: 'c-1', user_id, auth_data: { ...auth_data, ip: '***' } },
  })
  expect(stdout).toMatch(/auth\.login/)
  expect(stdout + JSON.stringify(heard)).not.toContain('192.0.2.77')
  // By SQL too, and what NOTIFY cannot carry as its reference.
  heard.length = 0
  const long = {
    user_id,
    changes: [],
    auth_data: { ...auth_data, permissions: [], user_agent: 'x' },
    more: 'x'.repeat(8_000),
  }
  await store.query(`select evt.publish('auth.session_changed', $1::json, $2)`, [
    JSON.stringify(long),
    `user/${user_id}`,
  ])
  await until(() => heard.some(({ event_type }) => event_type === 'auth.session_changed'), { withinMs: 20_000 })
  expect(Object.keys(heard.find(({ event_type }) => event_type === 'auth.session_changed') ?? {})).toEqual([
    ...['event_type', 'event_id', 'timestamp', 'correlation_id'],
  ])
})

it('what is none, or evt’s own, is no channel to announce on', () => {
  for (const channel of ['Auth-Events', '', 'evt_log'])
    expect(() => defineAnnouncement({ name: 'a.b', on: [], channel })).toThrow('it is no channel for that')
})
