import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { insertEvent } from '../store/sequencer-writers.ts'
import { createNowhere, run } from './evt.ts'

const levels = 5_000
const deep = `{"a":{"b":"here"},"deep":${'['.repeat(levels)}1${']'.repeat(levels)}}`
const nowhere = createNowhere()
let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase({ max: 3 })
  const client = database.store.pool as never
  await insertEvent(client, 'deep', 1, { type: 'deep.written', data: deep })
  await database.store.query(
    `insert into evt.dead_letters (handler, service, event_id, type, subject, ordered, lane, topic, at, headers, body, reason, cause,
       error_class, error_message, attempts, instance, first_failed_at, last_failed_at)
     values ('icons.deep', 'icons', 'deep#1', 'deep.written', 'deep', true, 'log/0', 'log', '1', $1, $2, 'retries-exhausted', 'dee90000',
       'Error', 'too deep', '[]', 'test', now(), now())`,
    [
      {
        'ce-specversion': '1.0',
        'ce-id': 'deep#1',
        'ce-type': 'deep.written',
        'ce-source': 'test',
        'ce-time': '2026-01-02T03:04:05.678Z',
      },
      Buffer.from(deep),
    ],
  )
})
afterAll(async () => {
  nowhere.dispose()
  await database[Symbol.asyncDispose]()
})
// A process of its own: how deep a walker may go depends on the stack it has.
const evt = (...words: string[]) => run(words, { store: database.url, cwd: nowhere.path })
const tail = (...words: string[]) => evt('tail', '--since', 'start', '--no-follow', ...words)

describe(`data of ${levels} levels`, () => {
  it.each([[[]], [['--data']], [['-o', 'ndjson']], [['--wide']], [['--stages']]])(
    'is shown by tail %j',
    async (words) => {
      const { exit, stdout } = await tail(...words)
      expect({ exit, isWhole: stdout.includes(deep) }).toEqual({ exit: 0, isWhole: true })
    },
  )

  it('is in the document of tail --json', async () => {
    const { exit, stdout } = await tail('--json')
    expect(exit).toBe(0)
    expect(JSON.parse(stdout)).toMatchObject({ status: 'pass', data: { events: [{ id: 'deep#1' }] } })
    expect(stdout).toContain(deep)
  })

  it.each([
    [['--fields', 'type,data.a.b'], 'deep.written\there\n'],
    [['--fields', 'data.a.b', '-o', 'ndjson'], '{"data.a.b":"here"}\n'],
    [['--where', "data.a.b == 'here'", '--fields', 'id'], 'deep#1\n'],
  ])('does not stand in the way of tail %j', async (words, expected) => {
    expect(await tail(...words)).toMatchObject({ exit: 0, stdout: expected })
  })

  it.each([[[]], [['-o', 'ndjson']]])('is a field of its own for tail --fields data.deep %j', async (words) => {
    const { exit, stdout } = await tail('--fields', 'data.deep', ...words)
    expect(exit).toBe(0)
    expect(stdout).toContain('['.repeat(levels))
  })

  it('is shown by dlq show, as text and as a document', async () => {
    const text = await evt('dlq', 'show', '1')
    expect({ exit: text.exit, stderr: text.stderr }).toEqual({ exit: 0, stderr: '' })
    expect(text.stdout.match(/\[/g)?.length).toBeGreaterThanOrEqual(levels)
    const document = await evt('dlq', 'show', '1', '--json')
    expect({ exit: document.exit, stderr: document.stderr }).toEqual({ exit: 0, stderr: '' })
    expect(JSON.parse(document.stdout)).toMatchObject({ status: 'pass', data: { id: '1' } })
    expect(document.stdout).toContain('['.repeat(levels))
  })

  it('does not stand in the way of dlq list and its --where', async () => {
    const where = ['--where', "data.a.b == 'here'"]
    for (const words of [where, ['--flat', ...where], [...where, '--json']])
      expect(await evt('dlq', 'list', ...words)).toMatchObject({
        exit: 0,
        stdout: expect.stringContaining('icons.deep'),
      })
  })
})
