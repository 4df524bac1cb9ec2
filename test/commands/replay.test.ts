import { execFileSync } from 'node:child_process'
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { memoryUrl, readTopic } from '../relay/sinking.ts'
import { writeHistory } from '../replay/history.ts'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { createNowhere, runHere } from './evt.ts'

/** A project with a service of two handlers that write what they see. */
async function project(events: number) {
  const { store, url } = await createTestDatabase()
  const nowhere = createNowhere()
  onTestFinished(nowhere.dispose)
  await store.query('create table effects (handler text, id text)')
  writeFileSync(
    join(nowhere.path, 'evt.config.mjs'),
    `const handler = (name) => ({ name, on: ['thing.*'], concurrency: 1, retry: { attempts: 1 }, breaker: false, handle: async (event, ctx) => {
       if (event.data.n === 13) throw new TypeError('thirteen')
       await ctx.sql\`insert into effects values (\${name}, \${event.id})\`
     } })
     const flow = { kind: 'saga', name: 'things.flow' }
     const view = { kind: 'projection', name: 'things_view', version: 1, options: { tables: {}, on: ['thing.*'] } }
     export default { services: [{ name: 'things', contracts: [], handlers: [handler('things.one'), handler('things.two')], sagas: [flow], projections: [view] }] }`,
  )
  await writeHistory(store, events)
  const evt = (...words: string[]) =>
    runHere([...words, ...(existsSync(join(nowhere.path, 'evt.config.mjs')) ? ['--config', 'evt.config.mjs'] : [])], {
      store: url,
      cwd: nowhere.path,
    })
  const effects = async (handler: string) =>
    Number((await store.query('select count(*) as n from effects where handler = $1', [handler])).rows[0]?.n)
  return { store, evt, effects, path: nowhere.path }
}

it('a replay counts first, asks, runs the handler, and tells what came of it', async () => {
  const { store, evt, effects } = await project(12)
  expect(await evt('replay')).toMatchObject({ exit: 2, stderr: expect.stringContaining('not said where to') })
  expect(await evt('replay', '--handler', 'things.oen')).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('did you mean things.one'),
  })
  for (const [name, kind] of [
    ['things.flow', 'a saga'],
    ['things_view', 'a projection'],
  ] as const)
    expect(await evt('replay', '--handler', name)).toMatchObject({ exit: 2, stderr: expect.stringContaining(kind) })
  for (const span of [
    ['--since', '1h', '--until', '2h'],
    ['--since', 'position:4', '--until', 'position:3'],
  ])
    expect(await evt('replay', '--dry-run', ...span)).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('--since is after --until'),
    })
  const counted = await evt('replay', '--dry-run', '--type', 'thing.*', '--where', 'data.n <= 5', '--json')
  expect(JSON.parse(counted.stdout).data.plan, counted.stderr).toMatchObject({ count: 5, verb: 'replay' })
  const plan = await evt('replay', '--handler', 'things.one', '--limit', '7')
  expect(plan).toMatchObject({ exit: 4, stderr: expect.stringContaining('would replay 7 events to things.one') })
  expect(await effects('things.one')).toBe(0)
  const ran = await evt('replay', '--handler', 'things.one', '--limit', '7', '--yes', '--reason', 'again', '--json')
  expect(JSON.parse(ran.stdout), ran.stderr).toMatchObject({
    status: 'pass',
    data: { end: 'done', matched: 7, handlers: [{ handler: 'things.one', handled: 7, dead: 0 }] },
  })
  expect([await effects('things.one'), await effects('things.two')]).toEqual([7, 0])
  expect((await store.query('select verb, target, reason, affected::int from evt.audit')).rows).toEqual([
    { verb: 'replay', target: 'things.one', reason: 'again', affected: 7 },
  ])
  expect(await evt('replay', '--group', 'things', '--yes', '--max-affected', '3')).toMatchObject({ exit: 4 })
})

it('what dies in a replay makes it exit 1, and what retention removed is named and makes it exit 5', async () => {
  const { store, evt, effects } = await project(20)
  const ran = await evt('replay', '--group', 'things', '--yes')
  expect(ran, ran.stderr).toMatchObject({
    exit: 1,
    stdout: expect.stringContaining('things.two: handled 19 · dead 1'),
    stderr: expect.stringMatching(/things\.one\.replay-.*evt dlq list/),
  })
  await store.query("select evt.make_partitions(date '2020-01-01', date '2020-01-01')")
  await writeHistory(store, 0)
  const leaf = (await store.query("select 'evt.outbox_default_' || to_char(evt.today(), 'YYYYMMDD') as name")).rows[0]
    ?.name
  await store.query(`alter table evt.outbox_default detach partition ${leaf}`)
  await store.query(`create table moved as select * from ${leaf} where (data->>'n')::int > 8`)
  await store.query(`drop table ${leaf}`)
  await store.query(`create table ${leaf} (like evt.outbox including all)`)
  await store.query(`insert into ${leaf} select * from moved`)
  await store.query('truncate effects')
  const partly = await evt('replay', '--handler', 'things.one', '--where', 'data.n != 13', '--yes', '--json')
  expect(partly).toMatchObject({
    exit: 5,
    stderr: expect.stringContaining('8 events between positions 1 and 8 are gone'),
  })
  expect(JSON.parse(partly.stdout).data).toMatchObject({ gone: { events: 8, from: '1', to: '8' }, matched: 11 })
  expect(await effects('things.one')).toBe(11)
})

it('what died in a replay is handed over by dlq replay, which names the command that goes on with it', async () => {
  const { store, evt } = await project(14)
  await evt('replay', '--handler', 'things.one', '--yes')
  const { rows } = await store.query('select id from evt.replays')
  const id = String(rows[0]?.id)
  expect(await evt('dlq', 'replay', '--yes')).toMatchObject({
    exit: 5,
    stderr: expect.stringContaining(`evt replay resume ${id}`),
  })
  const resumed = await evt('replay', 'resume', id, '--yes', '--json')
  expect(JSON.parse(resumed.stdout).data, resumed.stderr).toMatchObject({
    end: 'done',
    handledBefore: 13,
    handlers: [{ handled: 0, dead: 1 }],
  })
  expect((await store.query('select status, returned from evt.dead_letters')).rows).toEqual([
    { status: 'open', returned: 1 },
  ])
})

it('paused from another terminal and resumed; listed; stopped for good', async () => {
  const { store, evt, effects } = await project(12)
  const running = evt('replay', '--handler', 'things.one', '--rate', '4', '--yes')
  await until(async () => (await effects('things.one')) > 0)
  const { rows } = await store.query('select id from evt.replays')
  const id = String(rows[0]?.id)
  expect(await evt('replay', 'resume', id, '--yes')).toMatchObject({
    exit: 4,
    stderr: expect.stringContaining('another process'),
  })
  expect(await evt('replay', 'pause', id, '--yes')).toMatchObject({ exit: 0 })
  expect(await running).toMatchObject({ exit: 5, stderr: expect.stringContaining(`evt replay resume ${id}`) })
  const listed = JSON.parse((await evt('replay', 'list', '--json')).stdout).data.replays
  const before = await effects('things.one')
  expect(listed).toMatchObject([{ id, status: 'paused', to: ['things.one'], matched: 12, done: before, owner: null }])
  expect((await evt('replay', 'list')).stdout).toContain(` ${before} (${Math.floor((before * 100) / 12)}%) `)
  expect((await evt('status')).stdout).toMatch(new RegExp(`^replays rest +${id}: evt replay resume ${id}$`, 'm'))
  // What came after its end is not behind it.
  await writeHistory(store, 30)
  await store.query(`update evt.ticks set at = at - interval '1 minute'`)
  const { readers } = JSON.parse((await evt('groups', 'list', '--json')).stdout).data
  const group = readers.find(({ name }: { name: string }) => name === `things.one.replay-${id}`)
  expect(group.lagEvents).toBeLessThanOrEqual(12)
  // As it was allowed with --max-affected when it began.
  await store.query('update evt.replays set matched = 2000')
  const plan = JSON.parse((await evt('replay', 'resume', id, '--dry-run', '--json')).stdout).data.plan
  expect(plan).toMatchObject({ count: 2000 - before })
  expect(await evt('replay', 'resume', id, '--yes', '--max-affected', '10')).toMatchObject({ exit: 4 })
  expect(await evt('replay', 'resume', id, '--yes')).toMatchObject({ exit: 0 })
  expect(await effects('things.one')).toBe(12)
  expect((await evt('replay', 'list')).stdout).toMatch(/done +12 /)
  expect(await evt('replay', 'stop', id, '--yes')).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('it is done'),
  })
})

it('to a target, published again with the ids that they have', async () => {
  const { evt } = await project(12)
  const ran = await evt('replay', '-t', 'noop://', '--yes', '--json')
  expect(JSON.parse(ran.stdout), ran.stderr).toMatchObject({
    status: 'pass',
    data: { asked: 12, confirmed: 12, refused: 0 },
  })
  expect(await evt('replay', '-t', 'nowhere', '--yes')).toMatchObject({
    exit: 2,
    stderr: expect.stringContaining('neither a sink'),
  })
})

it('to a sink that gives types other names, under those, and of what it carries only', async () => {
  const { store, url } = await createTestDatabase()
  const nowhere = createNowhere()
  onTestFinished(nowhere.dispose)
  await writeHistory(store, 3)
  // It has that name already.
  await writeHistory(store, 1, 'object.made')
  const sink = {
    ...{ name: 'out', url: memoryUrl(), layout: 'per-type', prefix: 'their.' },
    ...{ rename: { 'thing.*': 'object.*' }, patterns: ['thing.*'] },
  }
  writeFileSync(join(nowhere.path, 'evt.config.mjs'), `export default { sinks: [${JSON.stringify(sink)}] }`)
  const ran = await runHere(['replay', '-t', 'out', '--yes', '--json', '--config', 'evt.config.mjs'], {
    store: url,
    cwd: nowhere.path,
  })
  expect(JSON.parse(ran.stdout), ran.stderr).toMatchObject({ status: 'pass', data: { asked: 3, confirmed: 3 } })
  const messages = await readTopic(sink.url, 'their.object.happened', 3)
  expect(messages.map(({ headers }) => headers['ce-type'])).toEqual(Array(3).fill('object.happened'))
})

it('a target that cannot be opened is told before anything is counted, asked or written down', async () => {
  const { store, evt } = await project(3)
  for (const [target, exit, reason] of [
    ['bogus://x', 2, 'bogus'],
    ['redis://127.0.0.1:1/0?stream=x', 3, 'redis://127.0.0.1:1/0'],
    ['memory://of-no-topic', 2, 'which topic'],
  ] as const)
    for (const word of ['--dry-run', '--yes'])
      expect(await evt('replay', '-t', target, '--limit', '2', word), `${target} ${word}`).toMatchObject({
        exit,
        stderr: expect.stringContaining(reason),
      })
  expect((await store.query('select from evt.replays')).rows).toEqual([])
})

it('a target that fails on the way leaves a replay that rests, and says how to go on and how to end it', async () => {
  const { store, evt } = await project(3)
  await evt('replay', '-t', 'noop://', '--yes')
  await store.query(
    `update evt.replays set target = 'redis://127.0.0.1:1/0?stream=x', status = 'paused', ended_at = null, position = 0, done = 0`,
  )
  const id = String((await store.query('select id from evt.replays')).rows[0]?.id)
  expect(await evt('replay', 'resume', id, '--yes')).toMatchObject({
    exit: 3,
    stderr: expect.stringMatching(new RegExp(`evt replay resume ${id}.*evt replay stop ${id}`)),
  })
})

it('a shadow run writes nothing, and two commits of a handler are compared over the same history', async () => {
  const { store, evt, effects, path } = await project(5)
  const git = (...words: string[]) =>
    execFileSync('git', ['-C', path, '-c', 'user.name=t', '-c', 'user.email=t@t', ...words], { stdio: 'pipe' })
  const config = join(path, 'evt.config.mjs')
  renameSync(config, join(path, 'evt.config.js'))
  git('init', '-q')
  git('add', '.')
  git('commit', '-qm', 'one')
  const words = ['replay', '--shadow', '--handler', 'things.one', '--yes', '--json']
  const shadowed = await evt(...words)
  expect(JSON.parse(shadowed.stdout), shadowed.stderr).toMatchObject({
    status: 'pass',
    data: { tables: [{ table: 'public.effects', inserted: 5, updated: 0, deleted: 0, events: 5 }], notShadowable: [] },
  })
  expect(await effects('things.one')).toBe(0)
  expect((await store.query('select from evt.replays')).rows).toEqual([])
  const same = await evt(...words, '--against', 'HEAD')
  expect(JSON.parse(same.stdout).data, same.stderr).toMatchObject({ compared: 5, different: 0 })
  const text = readFileSync(join(path, 'evt.config.js'), 'utf8')
  writeFileSync(join(path, 'evt.config.js'), text.replace('event.data.n === 13', 'event.data.n === 3'))
  const other = await evt(...words, '--against', 'HEAD')
  expect(other.exit, other.stderr).toBe(1)
  expect(JSON.parse(other.stdout).data).toMatchObject({
    different: 1,
    differences: [{ position: '3', type: 'thing.happened' }],
  })
  expect(await evt(...words, '--against', 'nothing-of-that-name')).toMatchObject({ exit: 2 })
  expect(git('worktree', 'list').toString().trim().split('\n')).toHaveLength(1)
})
