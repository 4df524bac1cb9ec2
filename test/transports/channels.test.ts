import { describe, expect, it } from 'vitest'
import { openTransport } from '../../src/transports/registry.ts'
import type { Received } from '../../src/transports/transport.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from './conformance/waiting.ts'

async function openChannel() {
  const { url, store } = await createTestDatabase({ schema: 'empty' })
  const channelUrl = new URL(url)
  channelUrl.searchParams.set('channel', 'user_events')
  const transport = await openTransport(channelUrl.href)
  const stopping = new AbortController()
  const seen: Received[] = []
  const selector = { topics: [], patterns: [] }
  const observing = (async () => {
    for await (const batch of transport.observe(selector, { from: 'now', follow: true, signal: stopping.signal }))
      seen.push(...batch)
  })()
  const texts = () => seen.map(({ body }) => Buffer.from(body).toString())
  const notify = (payload: string) => store.query('select pg_notify($1, $2)', ['user_events', payload])
  const until1 = async (payload: string) =>
    until(`${payload} arrives`, async () => {
      await notify(payload)
      return texts().includes(payload)
    })
  const stop = async () => {
    stopping.abort()
    await observing
    await transport.close()
  }
  return { store, transport, seen, texts, notify, repeatUntilSeen: until1, stop }
}

describe('a NOTIFY channel', () => {
  it('is observed: JSON and text as they were sent, in order', async () => {
    const channel = await openChannel()
    await channel.repeatUntilSeen('ready')
    await channel.notify('{"event":"user.created"}')
    await channel.notify('grüße')
    await until('both arrive', () => channel.texts().includes('grüße'))
    expect(channel.texts().slice(-2)).toEqual(['{"event":"user.created"}', 'grüße'])
    expect(channel.seen.at(-1)).toMatchObject({ topic: 'user_events', key: null, deliveries: 1 })
    await channel.stop()
  })

  it('is observed again after its connection was cut; what was sent meanwhile is lost', async () => {
    const channel = await openChannel()
    await channel.repeatUntilSeen('before')
    await channel.store.query(
      `select pg_terminate_backend(pid) from pg_stat_activity where application_name = 'evt channel' and datname = current_database()`,
    )
    await channel.repeatUntilSeen('after')
    await channel.stop()
  })

  it('replays nothing and publishes nothing, and says so', async () => {
    const channel = await openChannel()
    const signal = AbortSignal.timeout(5_000)
    const replay = channel.transport.observe({ topics: [], patterns: [] }, { from: 'start', follow: true, signal })
    await expect(replay[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'unsupported' })
    const message = { id: '1', key: null, headers: {}, body: new Uint8Array() }
    const [result] = await channel.transport.publish('user_events', [message], signal)
    expect(result).toMatchObject({ state: 'refused', error: { code: 'unsupported' } })
    expect(channel.transport.lanes).toBeUndefined()
    await channel.stop()
  })

  it('refuses a channel that is no plain name', async () => {
    const { url } = await createTestDatabase({ schema: 'empty' })
    const opening = openTransport(`${url}?channel=${encodeURIComponent('x; drop table users')}`)
    await expect(opening).rejects.toMatchObject({ code: 'usage' })
  })
})
