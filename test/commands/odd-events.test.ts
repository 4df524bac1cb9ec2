import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/index.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { allowAnyType } from '../store/any-type.ts'
import { createNowhere, runHere } from './evt.ts'

/** What SQL may have written and no event may be; the columns that are not named are fine. */
const odd: readonly (readonly [id: string, column: string, value: string, says: string])[] = [
  ['no-type', 'type', "''", 'ce-type is "", not a text'],
  ['no-source', 'source', "''", 'ce-source is "", not a text'],
  ['version', 'version', '-1', 'ce-evtversion is "-1", not a whole number from 1'],
  ['x'.repeat(300), 'id', "repeat('x', 300)", 'ce-id is longer than 255 characters'],
  ['forever', 'time', "'infinity'", 'ce-time is "infinity", not an RFC 3339 time'],
  ['before-all', 'time', "'0044-03-15 BC'", 'ce-time is "0044-03-15 00:00:00+00 BC", not an RFC 3339 time'],
  ['list', 'metadata', "'[1]'", 'evtmetadata is no JSON object'],
]
const nowhere = createNowhere()
let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase({ max: 3 })
  const { store } = database
  await allowAnyType(store)
  // As they were written before there were limits.
  await store.query('alter table evt.outbox drop constraint outbox_lengths')
  await store.query(`select evt.publish('user.created', '{"n": 1}', 'user/1', id => 'first')`)
  for (const [id, column, value] of odd) {
    const row = { type: "'user.odd'", source: "'sql'", data: `'{"n": 1}'`, subject: "'user/1'", id: `'${id}'` }
    const all: Record<string, string> = { ...row, [column]: value }
    await store.query(`insert into evt.outbox (${Object.keys(all)}) values (${Object.values(all)})`)
  }
  await store.query(`select evt.publish('user.created', '{"n": 2}', 'user/1', id => 'last')`)
})
afterAll(async () => {
  nowhere.dispose()
  await database[Symbol.asyncDispose]()
})
const evt = (...words: string[]) => runHere(words, { store: database.url, cwd: nowhere.path })
const tail = (...words: string[]) => evt('tail', '--since', 'start', '--no-follow', ...words)
const idsOf = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).id)

describe('events that cannot be decoded', () => {
  it('are shown by tail among the others, one line each, with their id and what is wrong', async () => {
    const { exit, stdout, stderr } = await tail()
    const lines = stdout.trimEnd().split('\n')
    expect({ exit, lines: lines.length }).toEqual({ exit: 0, lines: odd.length + 2 })
    for (const [i, [id, , , says]] of odd.entries()) {
      expect(lines[i + 1]).toContain(`id=${id}`)
      expect(lines[i + 1]).toContain(`cannot decode event: ${says}`)
    }
    expect(lines[1]).toMatch(/^\d\d:\d\d:\d\d\.\d{3} {2}\(no type\) {2}user\/1 {2}id=no-type .* {2}\{"n": 1\}$/)
    expect(stderr).toContain(`scanned ${odd.length + 2} · matched ${odd.length + 2}`)
  })

  it('are shown as they stand, with an error, in NDJSON and in a document', async () => {
    const { exit, stdout } = await tail('-o', 'ndjson')
    const events = stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line))
    expect(exit).toBe(0)
    expect(events.map(({ id }) => id)).toEqual(['first', ...odd.map(([id]) => id), 'last'])
    for (const [i, [id, , , says]] of odd.entries()) {
      const error = `cannot decode event: ${says}`
      expect(events[i + 1]).toMatchObject({ id, subject: 'user/1', data: { n: 1 }, evt: { topic: 'log', error } })
    }
    expect(events[1]).toMatchObject({ type: '', source: 'sql', evtversion: '1' })
    expect(events[5]).toMatchObject({ time: 'infinity' })
    expect(events[0].evt).not.toHaveProperty('error')
    const document = JSON.parse((await tail('--json')).stdout)
    expect(document).toMatchObject({ status: 'pass', data: { events } })
  })

  it.each([
    [['user.created'], ['first', 'last']],
    [['user.odd', '--limit', '1'], ['no-source']],
    [['--where', "type == ''"], ['no-type']],
    [['--where', "evt.error ~ 'evtversion'"], ['version']],
    [['-i', 'no JSON object'], ['list']],
    [
      ['--stages', '--where', "id ~ 'before|last'"],
      ['before-all', 'last'],
    ],
  ])('are selected as others by tail %j', async (words, expected) => {
    expect(idsOf((await tail(...words, '-o', 'ndjson')).stdout)).toEqual(expected)
  })

  it('have their error among the fields, and a place in the report', async () => {
    expect((await tail('--fields', 'id,evt.error', '--where', "id in ['first', 'list']")).stdout).toBe(
      'first\t-\nlist\tcannot decode event: evtmetadata is no JSON object\n',
    )
    expect((await tail('--report')).stdout).toMatch(/^\(no type\) +1 /m)
    expect((await tail('--wide', '--stages', '--data')).stdout.trim().split('\n')).toHaveLength(odd.length + 2)
  })

  it('are dead letters of the handlers that want them, and stop nobody', async () => {
    const handled: string[] = []
    const handler = (name: string, on: string) =>
      defineHandler({
        name: `test.${name}`,
        on: [on],
        start: 'earliest',
        handle: async ({ id }) => void handled.push(`${name} ${id}`),
      })
    const bridge = createBridge({
      store: database.url,
      handlers: [handler('all', '*'), handler('any', '**'), handler('users', 'user.*'), handler('ends', '*.created')],
      registry: createRegistry([]),
      log: { debug() {}, info() {}, warn() {}, error() {} },
    })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    await until(() => handled.length === 8)
    const dead = async (name: string) => {
      const { rows } = await database.store.query(
        'select event_id, reason from evt.dead_letters where handler = $1 order by position',
        [`test.${name}`],
      )
      return rows.map(({ event_id: id, reason }) => [id, reason])
    }
    const all = odd.map(([id]) => [id, 'undecodable'])
    await until(async () => (await dead('all')).length + (await dead('any')).length === 2 * all.length)
    expect(await dead('all')).toEqual(all)
    expect(await dead('any')).toEqual(all)
    await until(async () => (await dead('users')).length === all.length - 1)
    expect(await dead('users')).toEqual(all.slice(1))
    expect(await dead('ends')).toEqual([])

    const { exit, stdout } = await evt('dlq', 'list')
    expect(exit).toBe(0)
    expect(stdout).toContain('(no type)')
    const letters = JSON.parse((await evt('dlq', 'list', '--flat', '--json', '--where', "type == ''")).stdout).data
      .letters
    expect(letters).toHaveLength(2)
    const shown = await evt('dlq', 'show', letters[0].id)
    expect(shown).toMatchObject({ exit: 0, stdout: expect.stringMatching(/^event +\(no type\) v1 · no-type$/m) })
    expect(shown.stdout).toContain('ce-type is "", not a text')
    expect(shown.stdout).toContain('"n": 1')
    expect(JSON.parse((await evt('dlq', 'show', letters[0].id, '--json')).stdout).data).toMatchObject({
      eventId: 'no-type',
      event: { id: 'no-type', type: '', subject: 'user/1' },
      text: '{"n": 1}',
    })
    expect((await evt('dlq', 'replay', '--dry-run')).exit).toBe(0)
  })
})
