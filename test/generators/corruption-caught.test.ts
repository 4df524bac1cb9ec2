import { randomUUID } from 'node:crypto'
import { describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { encodeAs } from '../../src/core/codec/encode-as.ts'
import { type EncodedEvent, encodeEvent } from '../../src/core/codec.ts'
import { createRegistry } from '../../src/core/registry.ts'
import type { Corruption } from '../../src/generators/corruption.ts'
import { createGenerator } from '../../src/generators/generator.ts'
import { createBridge, defineEvent, defineHandler } from '../../src/index.ts'
import { publishEncoded } from '../../src/store/outbox.ts'
import { openTransport } from '../../src/transports/registry.ts'
import { createTestDatabase } from '../setup/database.ts'
import type { ServerName } from '../setup/server-names.ts'
import { hasServer, serverUrl } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'

interface Way {
  readonly name: string
  readonly server?: ServerName
  urlOf?(topic: string): Promise<string>
}

const ways: readonly Way[] = [
  { name: 'postgres' },
  { name: 'memory', urlOf: async (topic) => `memory://${topic}/${topic}` },
  { name: 'redis', server: 'redis', urlOf: async (topic) => `${await serverUrl('redis')}/0?stream=${topic}` },
  { name: 'kafka', server: 'kafka', urlOf: async (topic) => `${await serverUrl('kafka')}/${topic}` },
  { name: 'rabbitmq', server: 'rabbitmq', urlOf: async (topic) => `${await serverUrl('rabbitmq')}?exchange=${topic}` },
]

const created = defineEvent('note.created', {
  1: z.object({ note_id: z.uuid(), content: z.string().min(1), stars: z.int() }),
})
const registry = createRegistry([created])

/** Two good ones, of which the second follows the first, then one that is corrupt. */
function spoilt(kind: Corruption): EncodedEvent[] {
  const options = { registry, types: ['note.created'], nowMs: Date.UTC(2026, 0, 1), seed: kind.length }
  const good = createGenerator(options)
  const events = [good.next(), good.next()]
  const [first, second] = events as [(typeof events)[number], (typeof events)[number]]
  const bad = createGenerator({ ...options, seed: 1_000 + kind.length, corrupt: { kinds: [kind], ratio: 1 } })
  // The first of a stream has nothing before it that could come again, or be overtaken.
  const one =
    kind === 'duplicate'
      ? second
      : kind === 'stale-sequence'
        ? { ...good.next(), subject: first.subject as string, sequence: 1 }
        : bad.next()
  return [first, second, one].map((event) => {
    const encoded = encodeEvent(event)
    return event.checksum === undefined ? encoded : { ...encoded, checksum: event.checksum }
  })
}

const kinds = [
  'missing-field',
  'wrong-type',
  'bad-checksum',
  'stale-sequence',
  'duplicate',
  'unknown-version',
  'poison',
] as const

describe.each(ways.filter(({ server }) => server === undefined || hasServer(server)))(
  'over $name, corrupt events',
  ({ urlOf }) => {
    it('are each caught by the part that is meant to', async () => {
      const { store } = await createTestDatabase({ max: 12 })
      const topic = `c${randomUUID().slice(0, 8)}`
      const seen: string[] = []
      const handler = defineHandler({
        name: 'notes.keeper',
        on: [created],
        start: 'earliest',
        retry: { attempts: 2, initial: '5ms', max: '5ms' },
        breaker: false,
        async handle(event) {
          if (event.data.content.endsWith('<icon name="')) throw new Error('the markup is never closed')
          seen.push(event.id)
        },
      })
      const url = await urlOf?.(topic)
      const transport = url === undefined ? undefined : await openTransport(url)
      await transport?.ensure([{ name: topic, lanes: 1 }], 'create')
      onTestFinished(async () => transport?.close())
      const sources = url === undefined ? [] : [{ name: 'in', url, start: 'earliest' as const }]
      const bridge = createBridge({ store, handlers: [handler], registry, sources, grace: '1s' })
      onTestFinished(() => bridge.stop())
      await bridge.start()
      const all = kinds.flatMap(spoilt)
      if (transport) {
        const messages = all.map((event, i) => ({
          // The broker would drop what has the same id; another producer gives it its own.
          id: all.findIndex(({ id }) => id === event.id) < i ? randomUUID() : event.id,
          key: event.subject ?? null,
          ...encodeAs('cloudevents', event),
        }))
        const results = await transport.publish(topic, messages, AbortSignal.timeout(20_000))
        expect(results.map(({ state }) => state)).toEqual(all.map(() => 'stored'))
      } else await store.transaction((sql) => publishEncoded(sql, all, { keyed: true }))
      const idOf = (kind: Corruption) => all[kinds.indexOf(kind as (typeof kinds)[number]) * 3 + 2]?.id
      const dead = async () =>
        (await store.query('select event_id, reason, cause, error_message from evt.dead_letters')).rows as {
          readonly event_id: string
          readonly reason: string
          readonly error_message: string
        }[]
      const good = all.filter((_, i) => i % 3 < 2).map(({ id }) => id)
      const parkedSubjects = async () => (await store.query('select subject from evt.parked_subjects')).rows
      const isDone = async () =>
        (await dead()).length >= 4 && (await parkedSubjects()).length === 1 && good.every((id) => seen.includes(id))
      await until(isDone, { withinMs: 20_000 })
      const reasons = new Map((await dead()).map(({ event_id, reason }) => [event_id, reason]))
      expect(reasons).toEqual(
        new Map([
          [idOf('missing-field'), 'contract'],
          [idOf('wrong-type'), 'contract'],
          [idOf('bad-checksum'), 'checksum'],
          [idOf('poison'), 'retries-exhausted'],
        ]),
      )
      for (const kind of ['missing-field', 'wrong-type', 'bad-checksum', 'unknown-version', 'poison'] as const) {
        expect(seen, kind).not.toContain(idOf(kind))
      }
      // A newer version waits for whoever knows it; the same event twice is one in the log.
      expect(await parkedSubjects()).toEqual([{ subject: all[kinds.indexOf('unknown-version') * 3 + 2]?.subject }])
      const { rows: twice } = await store.query(
        'select duplicates::int from evt.ticks where duplicates > 0 order by tick desc limit 1',
      )
      expect(twice).toEqual([{ duplicates: 1 }])
    })
  },
)
