import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeEvent } from '../../src/core/codec.ts'
import type { EvtEvent } from '../../src/core/event.ts'
import { publishEncoded } from '../../src/store/outbox.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { createNowhere, runHere, start } from './evt.ts'
import { openGate } from './gate.ts'
import { sequence } from './sequence.ts'

const nowhere = createNowhere()
let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase({ max: 3 })
  await publish(
    made('user.created', { plan: 'pro', note: 'red \u001b[31malert\u0007\nnext line' }),
    made('user.updated', { plan: 'free' }),
    made('user.profile.updated', { plan: 'pro' }),
    made('document.created', { title: 'user.created' }),
  )
})
afterAll(async () => {
  nowhere.dispose()
  await database[Symbol.asyncDispose]()
})

let count = 0
const made = (type: string, data: object): EvtEvent => ({
  ...{ id: `event-${++count}`, type, version: 1, source: 'test', time: '2026-01-02T03:04:05.678Z' },
  ...{ subject: `${type.split('.')[0]}/${count}`, priority: 'normal', metadata: {}, data },
})
const publish = (...events: EvtEvent[]) =>
  database.store.transaction((sql) =>
    publishEncoded(
      sql,
      events.map((event) => encodeEvent(event)),
    ),
  )
const evt = (...words: string[]) => runHere(words, { store: database.url, cwd: nowhere.path })
const shown = async (...words: string[]) =>
  (await evt('tail', '--since', 'start', '--no-follow', ...words)).stdout.trim().split('\n').filter(Boolean)
const types = async (...words: string[]) => (await shown(...words, '-o', 'ndjson')).map((line) => JSON.parse(line).type)

describe('tail of a log in which nothing comes', () => {
  it.each([
    ['logged.once', /: head 2, .*; the last that matches is from \S+ ago: --since 1m would show it$/m],
    ['nothing.here', /: head 2, .*; none of the last 2 in the log matches$/m],
  ])('says of %s only what is true', async (pattern, hint) => {
    await using logged = await createTestDatabase({ max: 3 })
    await logged.store.transaction((sql) =>
      publishEncoded(
        sql,
        ['logged.once', 'logged.last'].map((type) => encodeEvent(made(type, {}))),
      ),
    )
    await sequence(logged.store)
    const ran = await runHere(['tail', pattern, '--idle-timeout', '3500ms'], { store: logged.url, cwd: nowhere.path })
    expect(ran.stderr).toMatch(hint)
  })
})

describe('tail', () => {
  it('prints one line an event: time, type, subject, data', async () => {
    const { stdout, stderr } = await evt('tail', 'document.*', '--since', 'start', '--no-follow')
    expect(stdout).toBe('2026-01-02 03:04:05.678  document.created  document/4  {"title":"user.created"}\n')
    expect(stderr).toMatch(/^tail postgres.*: committed events by snapshots of its own.*nothing written\n/)
    expect(stderr).toMatch(/scanned 4 · matched 1 · stopped: end\n$/)
  })

  it('shows the time alone of what is of today, and the date of everything else', async () => {
    const today = new Date().toISOString()
    const times = [today, '2024-01-01T00:00:00.000Z', '2099-01-01T00:00:00.000Z']
    await publish(...times.map((time) => ({ ...made('dated.event', {}), time })))
    const lines = await shown('dated.*')
    expect(lines.map((line) => line.split('  ')[0])).toEqual([
      today.slice(11, 23),
      '2024-01-01 00:00:00.000',
      '2099-01-01 00:00:00.000',
    ])
  })

  it.each([
    [['user.*'], ['user.created', 'user.updated', 'user.profile.updated']],
    [['*.updated'], ['user.updated', 'user.profile.updated']],
    [
      ['user.{created,deleted}', 'document.created'],
      ['user.created', 'document.created'],
    ],
    [['--where', "data.plan == 'pro' and not (type ~ 'profile')"], ['user.created']],
    [
      ['--where', "evt.transport == 'postgres'", '--limit', '2'],
      ['user.created', 'user.updated'],
    ],
    [
      ['-i', 'profile', '-i', 'title'],
      ['user.profile.updated', 'document.created'],
    ],
    [
      ['user.*', '-e', 'profile'],
      ['user.created', 'user.updated'],
    ],
    [['--until', '1m'], []],
  ])('with %j shows %j', async (words, expected) => {
    expect(await types(...words)).toEqual(expected)
  })

  it('makes control characters of payloads visible, in one line, unless raw is asked for off a terminal', async () => {
    const line = (await shown('user.created')).join('\n')
    for (const control of ['\u001b', '\u0007']) expect(line).not.toContain(control)
    expect((await shown('user.created')).length).toBe(1)
    await publish({ ...made('odd.subject', {}), subject: 'odd/\u001b[2J' })
    expect((await evt('tail', '--since', 'start', '--no-follow')).stdout).not.toContain('\u001b')
    const raw = await evt('tail', '--since', 'start', '--no-follow', '--raw')
    expect(raw.stdout).toContain('odd/\u001b[2J')
  })

  it('prints NDJSON that gen takes unchanged', async () => {
    const lines = await shown('user.*', '-o', 'ndjson')
    const again = await runHere(['gen', '--input', '-', '--dry-run', '--no-check', '-o', 'ndjson'], {
      stdin: `${lines.join('\n')}\n`,
      cwd: nowhere.path,
    })
    const plain = (line: string) => {
      const { evt: _evt, checksum: _checksum, ...event } = JSON.parse(line)
      return event
    }
    expect(again.stdout.trim().split('\n').map(plain)).toEqual(lines.map(plain))
  })

  it('shows only the fields that were asked for, as text and as JSON', async () => {
    expect(await shown('user.{created,updated}', '--fields', 'type,data.plan,tenant')).toEqual([
      'user.created\tpro\t-',
      'user.updated\tfree\t-',
    ])
    expect(await shown('user.updated', '--fields', 'type,data.plan', '-o', 'ndjson')).toEqual([
      '{"type":"user.updated","data.plan":"free"}',
    ])
  })

  it('keeps every digit of the data', async () => {
    const data = '{"n":12345678901234567890,"price":1.10}'
    await database.store.query(
      `insert into evt.outbox (id, type, source, subject, data) values ('exact', 'exact.number', 'test', 'x', $1)`,
      [data],
    )
    expect((await shown('exact.number', '-o', 'ndjson')).join()).toContain(`"data":${data}`)
    expect((await shown('exact.number', '--json')).join()).toContain(`"data":${data}`)
    expect(await shown('exact.number', '--fields', 'data.n,data.price')).toEqual(['12345678901234567890\t1.10'])
    expect(await shown('exact.number', '--fields', 'data.n', '-o', 'ndjson')).toEqual([
      '{"data.n":12345678901234567890}',
    ])
  })

  it('reports what flows instead, by type', async () => {
    const { stdout } = await evt('tail', 'user.*', '--since', 'start', '--no-follow', '--report', '--json')
    const { data, meta } = JSON.parse(stdout)
    expect(data.flows).toHaveLength(3)
    expect(data.flows[0]).toEqual({
      type: expect.stringMatching(/^user\./),
      count: 1,
      bytes: expect.any(Number),
      perSecond: expect.any(Number),
    })
    expect(meta).toMatchObject({ matched: 3, stopped: 'end' })
  })

  it.each([
    [['--since', '5m', '--until', '10m'], /: --since is after --until; /],
    [
      ['--since', 'position:9', '--until', 'position:5'],
      /between position 9 and position 5: --since is after --until; /,
    ],
    [['--since', '2h', '--until', '1h'], /between 2\d{3}-\S+Z and 2\d{3}-\S+Z: looked at /],
    [['--until', '1h'], /before 2\d{3}-\S+Z: looked at /],
    [['--since', '1ms', '--no-follow'], /after 2\d{3}-\S+Z: looked at /],
  ])('says that nothing lies in the range of %j, and where it looked', async (words, range) => {
    const { exit, stdout, stderr } = await evt('tail', ...words)
    expect({ exit, stdout }).toEqual({ exit: 0, stdout: '' })
    const [said, ...more] = stderr.split('\n').filter((line) => line.startsWith('nothing lies '))
    expect(more).toEqual([])
    expect(said).toMatch(range)
    expect(said).toMatch(/looked at postgres\S+: head \d+, \d+ not sequenced yet, no bridge runs$/)
  })

  it('says that nothing came in the range that it followed', async () => {
    const { stderr } = await evt('tail', '--until', new Date(Date.now() + 300).toISOString())
    expect(stderr).toMatch(/\nnothing lies between 2\d{3}-\S+Z and 2\d{3}-\S+Z: looked at .*\n.*stopped: --until\n$/)
  })

  it('says nothing of a range in which events lie that a filter leaves out', async () => {
    const { stderr } = await evt('tail', 'nothing.here', '--since', '1h', '--until', 'now')
    expect(stderr).not.toContain('nothing lies')
    expect(stderr).toMatch(/scanned [1-9]/)
  })

  it.concurrent('explains silence: where it looked, how far that is, and what would show something', async () => {
    const { exit, stderr } = await evt('tail', 'user.creatd', '--idle-timeout', '3500ms')
    expect(exit).toBe(0)
    expect(stderr).toMatch(
      /nothing yet from postgres.*: head \d+, \d+ not sequenced yet, no bridge runs; looking for 'user.creatd'/,
    )
    expect(stderr).toContain('no contract is called user.creatd: did you mean user.created?')
    expect(stderr).toContain('stopped: --idle-timeout')
  })

  it.concurrent.each([[['nothing.here']], [['--where', "type == 'nothing.here'"]]])(
    'ends %j after --idle-timeout, whatever else comes, and promises nothing that it does not find',
    async (words) => {
      const writing = setInterval(() => void publish(made('busy.other', {})), 50)
      const { exit, stderr } = await evt('tail', ...words, '--idle-timeout', '3500ms', '--limit', '1').finally(() =>
        clearInterval(writing),
      )
      expect({ exit, stderr }).toEqual({ exit: 0, stderr: expect.stringContaining('stopped: --idle-timeout') })
      expect(stderr).not.toContain('would show it')
    },
    10_000,
  )

  it.each([
    ['SIGINT', 0],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)('ended by %s exits %i', async (signal, exit) => {
    const running = start(['tail'], { store: database.url, cwd: nowhere.path })
    await running.said(/: committed events/)
    running.signal(signal)
    expect(await running.ended).toMatchObject({ exit, stderr: expect.stringContaining('stopped: interrupted') })
  })

  it('follows what is committed, and a NOTIFY channel beside it, each line with its source', async () => {
    const running = start(['tail', '--source', database.url, '--source', `${database.url}?channel=user_events`], {
      cwd: nowhere.path,
    })
    await running.said(/: committed events/)
    await publish(made('user.deleted', { plan: 'pro' }))
    await running.said(/user\.deleted/)
    // What is notified before LISTEN is in force is not from now on: it is said until it is heard.
    const notify = `select pg_notify('user_events', '{"event_type":"user.noted","user_id":"7"}')`
    const notifying = setInterval(() => void database.store.query(notify), 50)
    await running.said(/user\.noted/)
    clearInterval(notifying)
    running.signal('SIGINT')
    const { exit, stdout } = await running.ended
    expect(exit).toBe(0)
    expect(stdout).toMatch(/\[pg log\].*user\.deleted/)
    expect(stdout).toMatch(/\[pg user_events\].*user\.noted/)
  })

  it('goes on where it was when the server comes back, and says both', async () => {
    const server = await openGate(database.url)
    const running = start(['tail', 'outage.*'], { store: server.url, cwd: nowhere.path })
    await running.said(/: committed events/)
    await publish(made('outage.before', {}))
    await running.said(/outage\.before/)
    await server.shut()
    await running.said(/trying again until it is back/)
    await publish(made('outage.during', {}))
    await server.open()
    await running.said(/connected again/)
    await publish(made('outage.after', {}))
    await running.said(/outage\.after/)
    running.signal('SIGINT')
    const { exit, stdout, stderr } = await running.ended
    expect({ exit, types: stdout.match(/outage\.\w+/g) }).toEqual({
      exit: 0,
      types: ['outage.before', 'outage.during', 'outage.after'],
    })
    expect(stderr.match(/trying again/g)).toHaveLength(1)
    expect(stderr).not.toContain('secret')
  })

  it.each([[[]], [['--stages']]])('leaves no trace with %j: no row written, no lock beyond reading', async (more) => {
    // One connection: what others wrote before would be counted when it suits them.
    await using own = await createTestDatabase({ max: 1 })
    await publishEncoded(own.store, [encodeEvent(made('document.created', {}))])
    const traces = async () => {
      await own.store.query('select pg_stat_force_next_flush()')
      const { rows } = await own.store.query(
        `select (select sum(n_tup_ins + n_tup_upd + n_tup_del) from pg_stat_user_tables) as writes,
           (select count(*) from pg_locks where mode <> 'AccessShareLock' and locktype not in ('virtualxid')
              and pid <> pg_backend_pid() and database = (select oid from pg_database where datname = current_database())) as locks`,
      )
      return rows[0]
    }
    const before = await traces()
    const running = start(['tail', '--since', 'start', ...more], { store: own.url, cwd: nowhere.path })
    await running.said(/document\.created/)
    const during = await traces()
    running.signal('SIGINT')
    await running.ended
    expect(during).toEqual(before)
    expect(await traces()).toEqual(before)
  })
})
