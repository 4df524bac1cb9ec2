import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createRegistry } from '../../src/core/registry.ts'
import { createGenerator } from '../../src/generators/generator.ts'
import { services } from '../../src/services/registry.ts'
import type { TestDatabase } from '../setup/database.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { createNowhere, type Running, runHere, start } from './evt.ts'
import { addDeadLetters } from './stores.ts'

const nowhere = createNowhere()
let database: TestDatabase
let bridge: Running
beforeAll(async () => {
  database = await createTestDatabase({ max: 3 })
  bridge = start(['up', '--services', 'icons', '--grace', '5s', '--log-level', 'warn'], {
    store: database.url,
    cwd: nowhere.path,
  })
  await bridge.said(/bridge .* is up/)
})
afterAll(async () => {
  bridge.signal('SIGTERM')
  expect(await bridge.ended).toMatchObject({ exit: 0, stderr: expect.stringContaining('stopping') })
  nowhere.dispose()
  await database[Symbol.asyncDispose]()
})

const evt = (...words: string[]) => runHere(words, { store: database.url, cwd: nowhere.path })
const json = async (...words: string[]) => JSON.parse((await evt(...words, '--json')).stdout)
const handledUsers = async () =>
  Number(
    (await database.store.query("select count(*) as count from evt.inbox where handler = 'icons.preferences'")).rows[0]
      ?.count,
  )

/** Dead letters of a handler that exists; `fits` decides whether it can handle them now. */
async function bury(count: number, fits: boolean, handler = 'icons.preferences'): Promise<void> {
  const { contracts } = await services.icons()
  const generator = createGenerator({
    registry: createRegistry(contracts),
    types: ['user.created'],
    seed: count,
    nowMs: Date.now(),
  })
  const events = Array.from({ length: count }, () => generator.next())
  await addDeadLetters(
    database.store,
    events.map((event) => ({ ...event, handler, data: fits ? event.data : { user_id: 'none' } })),
  )
}

/** The last ones. */
async function openIds(count: number): Promise<readonly string[]> {
  const text = `select id from evt.dead_letters where status = 'open' order by id desc limit ${count}`
  return (await database.store.query(text)).rows.map(({ id }) => String(id))
}

describe('commands against a running bridge', () => {
  it('status names the bridge that leads and what to do next', async () => {
    await until(async () => (await json('status')).data.bridges[0]?.leader, { withinMs: 10_000, what: 'a leader' })
    const { data } = await json('status')
    expect(data.bridges).toEqual([
      {
        instance: expect.stringMatching(/^evt-/),
        leader: true,
        handlers: expect.any(Number),
        ageMs: expect.any(Number),
      },
    ])
    expect(data.next).toBe('evt gen user.created --count 10')
  })

  it('what gen publishes is handled', async () => {
    const { data } = await json('gen', 'user.created', '--count', '20')
    expect(data).toEqual({ asked: 20, accepted: 20, confirmed: 20, unknown: 0, refused: 0 })
    await until(async () => (await handledUsers()) >= 20, { withinMs: 10_000, what: '20 users with preferences' })
  })

  it('tail shows positions once the bridge has sequenced, and ends at --until', async () => {
    const first = await json('tail', 'user.*', '--since', 'start', '--no-follow', '--limit', '3')
    expect(first.data.events.map(({ evt }: { evt: object }) => evt)).toEqual(
      ['1', '2', '3'].map((position) => ({
        transport: 'postgres',
        topic: 'log',
        position,
        recordedAt: expect.stringMatching(/^20\d\d-.*Z$/),
      })),
    )
    const some = await json('tail', '--since', 'position:5', '--until', 'position:8', '--no-follow')
    expect(some.data.events.map(({ evt }: { evt: { position: string } }) => evt.position)).toEqual(['5', '6', '7', '8'])
    expect(some.meta).toMatchObject({ matched: 4, stopped: '--until' })
    const one = await json('tail', '--since', 'position:5', '--until', 'position:5', '--no-follow')
    expect(one.data.events.map(({ evt }: { evt: { position: string } }) => evt.position)).toEqual(['5'])
  })

  it('tail --stages names the handlers and what is known of each', async () => {
    const { data } = await json('tail', 'user.created', '--since', 'start', '--no-follow', '--stages', '--limit', '3')
    for (const { evt } of data.events) {
      expect(evt.stages.relayMs).toBeGreaterThan(0)
      const one = evt.stages.handlers.find(({ handler }: { handler: string }) => handler === 'icons.preferences')
      expect(one).toMatchObject({ deliverMs: expect.any(Number), handleMs: null })
    }
  })

  it('dlq replay reports what the handlers did, and fails when it died again', async () => {
    await bury(3, true)
    const mended = await evt('dlq', 'replay', '--yes')
    expect(mended).toMatchObject({ exit: 0, stdout: 'replayed 3 · handled 3 · dead again 0\n' })
    await bury(2, false)
    const broken = await evt('dlq', 'replay', '--yes', '--reason', 'to see')
    expect(broken).toMatchObject({
      exit: 1,
      stdout: expect.stringMatching(/^replayed 2 · handled 0 · dead again 2 \(\w+ in icons\.preferences\)\n$/),
    })
    const { data } = await json('dlq', 'list')
    expect(data.causes).toMatchObject([{ count: 2, returned: 2, handler: 'icons.preferences' }])
  })

  it('dlq replay leaves out what was replayed too often', async () => {
    const left = await evt('dlq', 'replay', '--yes', '--max-replays', '1')
    expect(left).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^nothing to replay on postgres/) })
    expect(left.stderr).toContain('left out 2')
  })

  it('dash prints one frame with the figures of every handler', async () => {
    const { data } = await json('dash', '--once')
    expect(data.bridges).toHaveLength(1)
    expect(data.handlers.map(({ handler }: { handler: string }) => handler)).toContain('icons.preferences')
    expect(data.dead).toMatchObject({ open: 2 })
  })

  it('dlq replay judges each group for itself: one that no bridge has is unknown, one that is stopped is waited for', async () => {
    await bury(3, true)
    await bury(1, true, 'nobody.here')
    const some = await evt('dlq', 'replay', '--yes', '--ids', (await openIds(4)).join(','))
    expect(some).toMatchObject({
      exit: 5,
      stdout: 'replayed 4 · handled 3 · dead again 0 · unknown 1\n',
      stderr: expect.stringContaining('outcome unknown: no running bridge has nobody.here'),
    })
    await bury(1, true)
    await evt('handlers', 'pause', 'icons.preferences', '--yes')
    const stopped = await evt('dlq', 'replay', '--yes', '--settle', '1s', '--ids', (await openIds(1)).join(','))
    await evt('handlers', 'resume', 'icons.preferences', '--yes')
    expect(stopped).toMatchObject({ exit: 5, stdout: 'replayed 1 · handled 0 · dead again 0 · unknown 1\n' })
    expect(stopped.stderr).toContain('waiting: icons.preferences is paused')
    expect(stopped.stderr).toContain('evt handlers resume icons.preferences')
  })
})
