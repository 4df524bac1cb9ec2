import { createHash } from 'node:crypto'
import { expect, test } from 'vitest'
import { type EncodedEvent, encodeEvent, fromHeaders } from '../../src/core/codec.ts'
import type { Store } from '../../src/store/connection.ts'
import { acquireLease } from '../../src/store/lease.ts'
import { createLogReader } from '../../src/store/log.ts'
import { copyEvents, publishEncoded } from '../../src/store/outbox.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { sequenceAll } from './sequencer-writers.ts'

const nasty = 'tab\t newline\n return\r backslash\\ \\N quote" \u{1F600} \u2028 \\. '

function event(n: number, more: object = {}): EncodedEvent {
  return encodeEvent({
    id: `id-${n}`,
    type: 'thing.happened',
    version: 2,
    source: 'test',
    time: '2026-11-21T10:00:00.123Z',
    subject: `thing/${nasty}`,
    sequence: n,
    tenant: 'acme',
    correlationId: 'corr',
    causationId: 'cause',
    traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01',
    actor: { userId: 'u', sessionId: 's' },
    priority: 'high',
    metadata: { note: nasty, count: 3, flag: true },
    data: { text: nasty, list: [1, null, { '': 'x' }] },
    ...more,
  } as never)
}

describeServers('the outbox', (server) => {
  async function readBack(store: Store) {
    const lease = await acquireLease(store, 'test', 60_000)
    await sequenceAll(store, lease?.epoch ?? 0n)
    const reader = createLogReader(store)
    const entries = await reader.read(0n, 1_000)
    await reader.close()
    return entries
  }

  const ways = {
    'one statement': (store: Store, events: readonly EncodedEvent[]) =>
      store.transaction((sql) => publishEncoded(sql, events)),
    COPY: (store: Store, events: readonly EncodedEvent[]) => copyEvents(store, events),
  }
  for (const [name, write] of Object.entries(ways)) {
    test(`keeps every attribute and every byte by ${name}`, async () => {
      const { store } = await createTestDatabase({ server })
      const bare = encodeEvent({
        id: 'bare',
        type: 't.x',
        version: 1,
        source: 's',
        time: '2026-11-21T10:00:00.000Z',
        priority: 'normal',
        metadata: {},
        data: null,
      })
      await write(store, [event(1), bare])
      const [whole, plain] = await readBack(store)
      expect(whole?.dataText).toBe(event(1).dataText)
      expect(whole?.subject).toBe(`thing/${nasty}`)
      expect(whole?.headers).toMatchObject({
        'ce-id': 'id-1',
        'ce-type': 'thing.happened',
        'ce-evtversion': '2',
        'ce-time': '2026-11-21T10:00:00.123Z',
        'ce-sequence': '1',
        'ce-tenant': 'acme',
        'ce-correlationid': 'corr',
        'ce-causationid': 'cause',
        'ce-userid': 'u',
        'ce-sessionid': 's',
        'ce-priority': 'high',
        'ce-checksum': createHash('sha256').update(event(1).dataText).digest('hex'),
      })
      expect(plain?.dataText).toBe('null')
      expect(plain?.headers['ce-subject']).toBeUndefined()
    })
  }

  test.each(['9007199254740993', '9223372036854775807'])(
    'keeps the digits of the sequence %s, which is no number here',
    async (sequence) => {
      const { store } = await createTestDatabase({ server })
      await store.query(`select evt.publish('a.b', '{}'::json, sequence => $1::bigint)`, [sequence])
      const [entry] = await readBack(store)
      const read = fromHeaders(entry?.headers ?? {}, '{}')
      expect([read.sequence, read.metadata]).toEqual([undefined, { sequence }])
    },
  )

  test('keeps what JSON can say and texts of PostgreSQL cannot', async () => {
    const { store } = await createTestDatabase({ server })
    const data = JSON.parse(
      '{"\\u0000":"a\\u0000b","half":"\\ud800","__proto__":{"a":1},"small":-0.0,"empty":""}',
    ) as unknown
    const odd = encodeEvent({ ...event(1), data, metadata: { 'a\0': '\0', half: '\udfff' } })
    await store.transaction((sql) => publishEncoded(sql, [odd]))
    const [entry] = await readBack(store)
    const read = fromHeaders(entry?.headers ?? {}, entry?.dataText ?? '', { verify: true })
    expect(entry?.dataText).toBe(odd.dataText)
    expect(read.metadata).toEqual(odd.metadata)
    expect(JSON.stringify(read.data)).toBe(odd.dataText)
  })

  test('shows nothing of a transaction that was rolled back', async () => {
    const { store } = await createTestDatabase({ server })
    const work = store.transaction(async (sql) => {
      await publishEncoded(sql, [event(1)])
      throw new Error('no')
    })
    await expect(work).rejects.toThrow('no')
    await publishEncoded(store, [event(2)])
    expect((await readBack(store)).map((entry) => entry.id)).toEqual(['id-2'])
  })

  test('writes all or nothing without a transaction too, also where some are held until their time', async () => {
    const { store } = await createTestDatabase({ server })
    const later = { deliverAt: '2999-01-01T00:00:00.000Z' }
    const bad = { ...event(2, later), tenant: 'a\0' }
    await expect(publishEncoded(store, [event(1), bad])).rejects.toThrow()
    await publishEncoded(store, [event(3), event(4, later), event(5)])
    const { rows } = await store.query('select id from evt.scheduled')
    expect(rows).toEqual([{ id: 'id-4' }])
    expect((await readBack(store)).map((entry) => entry.id)).toEqual(['id-3', 'id-5'])
  })

  test('keeps nothing of a COPY whose source fails in the middle, and the pool stays usable', async () => {
    const { store } = await createTestDatabase({ server, max: 1 })
    async function* failing() {
      yield event(1)
      throw new Error('source broke')
    }
    await expect(copyEvents(store, failing())).rejects.toThrow('source broke')
    expect(await copyEvents(store, [event(2)])).toBe(1)
    expect((await readBack(store)).map((entry) => entry.id)).toEqual(['id-2'])
  })

  test('stores an event of a key once however often it is written', async () => {
    const { store } = await createTestDatabase({ server })
    await publishEncoded(store, [event(1)], { keyed: true })
    await publishEncoded(store, [event(1), event(2)], { keyed: true })
    await copyEvents(store, [event(2)], { keyed: true })
    expect((await readBack(store)).map((entry) => entry.id)).toEqual(['id-1', 'id-2'])
  })

  test('names a writer that did not name itself', async () => {
    const { store } = await createTestDatabase({ server })
    await store.query(`select set_config('application_name', '', false), evt.publish('a.b', '{}')`)
    const { rows } = await store.query('select source from evt.outbox')
    expect(rows).toEqual([{ source: 'sql' }])
  })

  test('takes events from SQL, one or many, with ids, checksums and data as written', async () => {
    const { store } = await createTestDatabase({ server })
    const { rows } = await store.query(`select evt.publish('a.b', '{"x":  1}', 'a/1', priority => 'low') as id`)
    expect(rows[0]?.id).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab]/)
    await store.query('select evt.publish_many($1)', [
      '[{"type":"c.d","data":{"b": 1, "a":2},"subject":"c/1","version":3},{"type":"e.f","data":"text","id":"mine"}]',
    ])
    const entries = await readBack(store)
    expect(entries.map((entry) => [entry.type, entry.dataText])).toEqual([
      ['a.b', '{"x":  1}'],
      ['c.d', '{"b": 1, "a":2}'],
      ['e.f', '"text"'],
    ])
    expect(entries[0]?.headers['ce-checksum']).toBe(createHash('sha256').update('{"x":  1}').digest('hex'))
    expect(entries[2]?.id).toBe('mine')
    await expect(store.query(`select evt.publish('a.b', to_json(repeat('x', 2000000)))`)).rejects.toMatchObject({
      code: 'too-large',
      message: expect.stringContaining('2000002'),
    })
  })

  test('takes json, jsonb, text and what has no type, each with the metadata of its kind', async () => {
    const { store } = await createTestDatabase({ server })
    const spaced = '{"b":  1, "a": 2}'
    const calls = {
      literal: `select evt.publish('literal', '${spaced}', 'a', metadata => '{"k":  1}')`,
      named: `select evt.publish(data => '${spaced}', type => 'named')`,
      json: `select evt.publish('json', '${spaced}'::json, metadata => '{"k":  1}'::json)`,
      mixed: `select evt.publish('mixed', '${spaced}', metadata => '{"k":  1}'::json)`,
      text: `select evt.publish('text', '${spaced}'::text)`,
      jsonb: `select evt.publish('jsonb', '${spaced}'::jsonb, 'a', metadata => '{"k":  1}'::jsonb)`,
      built: `select evt.publish('built', jsonb_build_object('a', 2, 'b', 1), metadata => '{"k":  1}')`,
      many: `select evt.publish_many(jsonb_agg(jsonb_build_object('type', 'many', 'data', 1)))`,
    }
    for (const call of Object.values(calls)) await store.query(call)
    await store.query('select evt.publish($1, $2, $3)', ['parameter', spaced, 'a'])
    const { rows } = await store.query('select type, data::text, metadata::text from evt.outbox order by seq')
    const sorted = '{"a": 2, "b": 1}'
    expect(rows).toEqual([
      { type: 'literal', data: spaced, metadata: '{"k":  1}' },
      { type: 'named', data: spaced, metadata: null },
      { type: 'json', data: spaced, metadata: '{"k":  1}' },
      { type: 'mixed', data: spaced, metadata: '{"k":  1}' },
      { type: 'text', data: spaced, metadata: null },
      { type: 'jsonb', data: sorted, metadata: '{"k": 1}' },
      { type: 'built', data: sorted, metadata: '{"k": 1}' },
      { type: 'many', data: '1', metadata: null },
      { type: 'parameter', data: spaced, metadata: null },
    ])
    await expect(store.query(`select evt.publish('no.json', 'no json')`)).rejects.toMatchObject({ code: '22P02' })
    await expect(store.query(`select evt.publish('big', to_jsonb(repeat('x', 2000000)))`)).rejects.toMatchObject({
      code: 'too-large',
    })
  })
})
