import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import { defineEvent } from '../../src/core/define-event.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import type { PublishOptions } from '../../src/core/publish-options.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { startTcpProxy } from '../setup/tcp-proxy.ts'
import { until } from '../setup/until.ts'
import { noted } from './noted.ts'

const secret = defineEvent('secret.told', {
  1: z.object({ word: sensitive(z.string(), { encrypt: true }), n: z.number() }),
})
const registry = createRegistry([noted, secret])

describeServers('sending to the store outside of transactions', (server) => {
  async function open(settings: PublishOptions = {}) {
    const { store, url } = await createTestDatabase({ server })
    const errors: string[] = []
    const onError = ({ message }: Error) => void errors.push(message)
    const publisher = createPublisher({ store: url, registry, source: 'test', settings, onError })
    onTestFinished(() => publisher.close({ grace: '1s' }))
    const ids = async () => (await store.query('select id from evt.outbox order by seq')).rows.map((row) => row.id)
    const texts = async (subject: string) =>
      (
        await store.query(`select data->>'text' as text from evt.outbox where subject = $1 order by seq`, [subject])
      ).rows.map(({ text }) => Number(text))
    const dead = async () =>
      (
        await store.query(
          `select handler, type, reason, event_id as id, error_code as code, convert_from(body, 'UTF8') as body from evt.dead_letters order by id`,
        )
      ).rows
    return { store, url, publisher, errors, ids, texts, dead }
  }
  const note = (text: unknown, more: object = {}) => ({
    type: 'note.written',
    data: { text },
    subject: 'note/1',
    ...more,
  })

  test('resolves when the store has it, in batches, and keeps the order of each subject', async () => {
    const { publisher, texts } = await open({ batch: { size: 50 } })
    const sent = Array.from({ length: 1_000 }, (_, n) =>
      publisher.send(
        note(String(n), {
          subject: `note/${n % 3}`,
          priority: (['low', 'normal', 'high', 'critical'] as const)[n % 4],
        }),
      ),
    )
    expect((await Promise.all(sent)).every(({ state }) => state === 'stored')).toBe(true)
    for (const remainder of [0, 1, 2]) {
      const expected = Array.from({ length: 1_000 }, (_, n) => n).filter((n) => n % 3 === remainder)
      expect(await texts(`note/${remainder}`)).toEqual(expected)
    }
    const { batches, averageBatch, published, queued } = publisher.stats()
    expect({ published, queued }).toEqual({ published: 1_000, queued: 0 })
    expect(averageBatch).toBeCloseTo(1_000 / batches)
    expect(batches).toBeGreaterThanOrEqual(20)
  })

  test('what comes twice is there once, and other data under its id is a dead letter', async () => {
    const { publisher, ids, dead } = await open()
    const both = await Promise.all([
      publisher.send(note('a', { id: 'mine' })),
      publisher.send(note('a', { id: 'mine' })),
    ])
    expect(both.map(({ state }) => state)).toEqual(['stored', 'duplicate'])
    expect((await publisher.send(note('a', { id: 'mine' }))).state).toBe('duplicate')
    expect(await publisher.send(note('b', { id: 'mine' }))).toMatchObject({
      state: 'refused',
      isDeadLetter: true,
      error: { code: 'conflict' },
    })
    expect(await ids()).toEqual(['mine'])
    expect(await dead()).toMatchObject([{ reason: 'publish', id: 'mine', body: '{"text":"b"}' }])
    expect(publisher.stats()).toMatchObject({ published: 1, duplicated: 2, refused: 1, dead: 1 })
  })

  test('never throws: what cannot be published is a dead letter with its reason', async () => {
    const { publisher, errors, dead, ids } = await open()
    const bad = [note(1), { type: 'no.such', data: {} }, note('x', { subject: 'a\0b' }), null]
    const outcomes = await Promise.all([
      ...bad.map((event) => publisher.send(event as never)),
      publisher.send(note('good')),
    ])
    expect(outcomes.map(({ state }) => state)).toEqual(['refused', 'refused', 'refused', 'refused', 'stored'])
    expect(await ids()).toHaveLength(1)
    expect(await dead()).toMatchObject([
      { handler: 'publisher:test', type: 'note.written', reason: 'publish', code: 'contract', body: '{"text":1}' },
      { type: 'no.such', code: 'unknown-type' },
      { type: 'note.written', code: 'contract' },
    ])
    expect(errors).toHaveLength(4)
  })

  test('what a contract encrypts is not written down in plain text when it is refused', async () => {
    const { publisher, dead, store } = await open()
    await publisher.send({ type: 'secret.told', subject: 's', data: { word: 'xyzzy', n: 'wrong' } })
    expect(await dead()).toMatchObject([{ type: 'secret.told', body: 'null' }])
    const { rows } = await store.query('select d::text as row from evt.dead_letters d')
    expect(JSON.stringify(rows)).not.toContain('xyzzy')
  })

  test('a store that is away during a burst, and answers that are lost, lose nothing and double nothing', async () => {
    const { store, url } = await open()
    await using proxy = await startTcpProxy(Number(new URL(url).port))
    const publisher = createPublisher({
      store: proxy.through(url),
      registry,
      source: 'test',
      settings: { batch: { size: 40 }, retry: { max: '50ms' } },
    })
    const sent = Array.from({ length: 400 }, (_, n) => publisher.send(note(String(n))))
    await until(() => publisher.stats().published > 0)
    proxy.swallow()
    await until(async () => {
      proxy.cut()
      return publisher.stats().retried > 0
    })
    expect((await Promise.all(sent)).every(({ state }) => state === 'stored')).toBe(true)
    // The sequencer drops what was written again after a lost answer.
    const { rows } = await store.query(
      `select distinct on (event_key) data->>'text' as text, seq from evt.outbox order by event_key, seq`,
    )
    const inOrder = rows.toSorted((a, b) => Number(a.seq) - Number(b.seq)).map(({ text }) => Number(text))
    expect(inOrder).toEqual(Array.from({ length: 400 }, (_, n) => n))
    await publisher.close()
  })

  test('away for good: bounded, refused above the bound, unknown in the end, and close ends', async () => {
    const publisher = createPublisher({
      store: 'postgres://nobody@127.0.0.1:1/none',
      registry,
      source: 'test',
      settings: { most: { events: 100 }, timeout: '200ms', retry: { max: '20ms' } },
    })
    const outcomes = await Promise.all(Array.from({ length: 150 }, (_, n) => publisher.send(note(String(n)))))
    expect(outcomes.every(({ state }) => state === 'refused')).toBe(true)
    expect(outcomes.filter((outcome) => 'error' in outcome && /wait already/.test(outcome.error.message))).toHaveLength(
      50,
    )
    await publisher.close({ grace: '1s' })
    expect(await publisher.send(note('late'))).toMatchObject({ state: 'refused', error: { code: 'closed' } })
  })

  test('close during a burst loses nothing that it was given', async () => {
    const { publisher, ids } = await open({ batch: { size: 20, wait: '5ms' } })
    const sent = Array.from({ length: 500 }, (_, n) => publisher.send(note(String(n))))
    await publisher.close()
    expect((await Promise.all(sent)).every(({ state }) => state === 'stored')).toBe(true)
    expect(await ids()).toHaveLength(500)
  })

  test('sends all that a source gives, and holds what is for later', async () => {
    const { publisher, store, ids } = await open()
    async function* source() {
      for (let n = 0; n < 3_000; n++) yield note(n % 1_000 === 7 ? 1 : String(n))
    }
    const { published, failed } = await publisher.sendAll(source())
    expect([published, failed.length, (await ids()).length]).toEqual([2_997, 3, 2_997])
    await publisher.send(note('later', { deliverAt: new Date(Date.now() + 60_000).toISOString() }))
    expect((await store.query('select count(*)::int as n from evt.scheduled')).rows).toEqual([{ n: 1 }])
  })

  test('works for who may only publish: then what is refused is kept nowhere', async () => {
    const { url, ids } = await open()
    const asPublisher = `${url}${url.includes('?') ? '&' : '?'}options=${encodeURIComponent('-c role=evt_publisher')}`
    const publisher = createPublisher({ store: asPublisher, registry, source: 'test', settings: { timeout: '5s' } })
    onTestFinished(() => publisher.close({ grace: '1s' }))
    const later = { deliverAt: new Date(Date.now() + 60_000).toISOString() }
    const outcomes = await Promise.all(
      [note('a', { id: 'mine' }), note('b', later), note(1, { id: 'bad' })].map(publisher.send),
    )
    expect(outcomes.map(({ state }) => state)).toEqual(['stored', 'stored', 'refused'])
    expect(outcomes[2]).not.toHaveProperty('isDeadLetter')
    expect(await ids()).toEqual(['mine'])
  })

  test('a process that is killed has published all that it was told are stored', async () => {
    const { url, ids } = await open()
    const child = spawn(process.execPath, [join(import.meta.dirname, 'killed-sender.ts'), url], {
      stdio: ['ignore', 'pipe', 'inherit'],
    })
    onTestFinished(() => void child.kill('SIGKILL'))
    const told: string[] = []
    const lines = createInterface(child.stdout)
    lines.on('line', (id) => {
      told.push(id)
      if (told.length === 300) child.kill('SIGKILL')
    })
    await once(lines, 'close')
    const there = new Set(await ids())
    expect(told.length).toBeGreaterThanOrEqual(300)
    expect(told.filter((id) => !there.has(id))).toEqual([])
  })
})
