import { expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge } from '../../src/bridge.ts'
import { defineEvent } from '../../src/core/define-event.ts'
import { sensitive } from '../../src/core/json-shape.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { createPublisher } from '../../src/create-publisher.ts'
import { planReplay, replayDeadLetters } from '../../src/store/redrive.ts'
import { createNowhere, runHere } from '../commands/evt.ts'
import { createTestDatabase } from '../setup/database.ts'
import { noted } from './noted.ts'

it('what a publisher gave up is published when it is replayed and its contract takes it now, and dead again when not', async () => {
  const { store, url } = await createTestDatabase({ max: 8 })
  const publisher = createPublisher({ store, registry: createRegistry([noted]), source: 'test' })
  onTestFinished(() => publisher.close())
  await publisher.send({ id: 'one', type: 'note.written', subject: 'n/1', data: { text: 1 } })
  await publisher.send({ id: 'two', type: 'note.written', subject: 'n/1', data: { text: [] } })
  const { rows: dead } = await store.query('select id, event_id from evt.dead_letters')
  expect(dead).toHaveLength(2)
  const wider = defineEvent('note.written', { 1: z.object({ text: z.union([z.string(), z.number()]) }) })
  const bridge = createBridge({ store: url, registry: createRegistry([wider]), roles: ['relay'] })
  onTestFinished(() => bridge.stop())
  await bridge.start()
  const evt = inNowhere(url)
  const ran = await evt('dlq', 'replay', '--yes')
  expect(ran).toMatchObject({ exit: 1, stderr: expect.not.stringContaining('unknown') })
  expect(ran.stdout).toBe('replayed 2 · handled 1 · dead again 1 (EvtError in publisher:test)\n')
  const { rows } = await store.query('select id, data::text as data, subject from evt.outbox')
  expect(rows).toEqual([{ id: 'one', data: '{"text":1}', subject: 'n/1' }])
  const states = await store.query('select event_id as id, status from evt.dead_letters order by event_id')
  expect(states.rows).toEqual([
    { id: 'one', status: 'replayed' },
    { id: 'two', status: 'open' },
  ])
  const two = String(dead.find(({ event_id: id }) => id === 'two')?.id)
  const { data } = JSON.parse((await evt('dlq', 'show', two, '--json')).stdout)
  expect(data.attempts.map(({ attempt }: { attempt: number }) => attempt)).toEqual([1, 2])
  expect(data).toMatchObject({
    version: 1,
    onReplay: expect.stringMatching(/^is published again under its id, if a contract/),
  })
  const listed = JSON.parse((await evt('dlq', 'list', '--json')).stdout)
  expect(listed.data.causes).toMatchObject([{ handler: 'publisher:test', sampleId: two }])
})

it('what was given up without its data is not published again: it says so, and keeps its version and its reason', async () => {
  const { store, url } = await createTestDatabase({ max: 8 })
  const told = defineEvent('secret.told', {
    1: z.object({ word: z.string() }),
    2: {
      schema: z.object({ word: sensitive(z.string(), { encrypt: true }), n: z.number() }),
      upcast: ({ word }) => ({ word, n: 0 }),
    },
  })
  const registry = createRegistry([noted, told])
  const publisher = createPublisher({ store, registry, source: 'test' })
  onTestFinished(() => publisher.close())
  await publisher.send({ type: 'secret.told', subject: 's', data: { word: 'xyzzy', n: 'wrong' } })
  await publisher.send({ type: 'note.written', subject: 's', data: { text: ['x'.repeat(1_100_000)] } })
  const evt = inNowhere(url)
  const before = JSON.parse((await evt('dlq', 'list', '--flat', '--json')).stdout).data.letters
  const [{ id: secret }, { id: large }] = before
  const { data: shown } = JSON.parse((await evt('dlq', 'show', secret, '--json')).stdout)
  expect(shown).toMatchObject({
    version: 2,
    reason: 'publish',
    onReplay: 'nothing: its data was not kept (its contract encrypts): publish it again',
  })
  expect(shown.event).not.toHaveProperty('data')
  expect(shown).not.toHaveProperty('text')
  expect((await evt('dlq', 'show', large)).stdout).toMatch(/\n {2}\(not kept: [\d,]+ bytes are too many\)\n/)
  const ran = await evt('dlq', 'replay', '--ids', `${secret},${large}`, '--yes')
  expect(ran).toMatchObject({ exit: 1, stdout: expect.stringMatching(/^nothing to replay/) })
  expect(ran.stderr).toContain('left out 2 whose data was not kept')
  expect(await replayDeadLetters(store, { ids: [secret, large], replayId: 'r', by: 'test' })).toEqual({
    replayed: [],
    left: [secret, large],
  })
  expect(await planReplay(store, {})).toEqual([])
  expect(JSON.parse((await evt('dlq', 'list', '--flat', '--json')).stdout).data.letters).toEqual(before)
})

function inNowhere(store: string) {
  const nowhere = createNowhere()
  onTestFinished(nowhere.dispose)
  return (...words: string[]) => runHere(words, { store, cwd: nowhere.path })
}
