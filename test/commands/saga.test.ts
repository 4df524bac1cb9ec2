import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { z } from 'zod'
import { createBridge, defineEvent, defineSaga } from '../../src/index.ts'
import type { TestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { createNowhere, type Ran, runHere } from './evt.ts'
import { addStuckSaga, createStoreFor } from './stores.ts'

const why = 'step mail of version 1 is missing in version 2 of the definition'

describe('evt saga', () => {
  const nowhere = createNowhere()
  let database: TestDatabase
  const evt = (...words: string[]): Promise<Ran> =>
    runHere(['saga', ...words], { store: database.url, cwd: nowhere.path })
  const statusOf = async (id: number) =>
    (await database.store.query('select status from evt.sagas where id = $1', [id])).rows[0]?.status
  beforeAll(async () => {
    database = (await createStoreFor('saga')) as TestDatabase
  })
  afterAll(async () => {
    nowhere.dispose()
    await database[Symbol.asyncDispose]()
  })

  it('list says where each stands, what it waits for and why', async () => {
    const { stdout, stderr } = await evt('list')
    expect(stdout).toMatch(/1 +accounts\.registration +ada +stuck +mail +an operator .*step mail of version 1/)
    expect(stderr).toContain('1 stuck · shown 1')
    expect((await evt('list', '--status', 'running')).stdout).toContain('no sagas')
    expect(await evt('list', '--status', 'broken')).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('broken'),
    })
  })

  it('show masks what is sensitive, by number and by key', async () => {
    const shown = await evt('show', 'ada')
    expect(shown.stdout).toContain('stuck while running')
    expect(shown.stdout).toContain(`stuck mail · ${why} · bridge`)
    expect(shown.stdout).toContain('"email": "***"')
    const json = await evt('show', '1', '--json')
    expect(json.stdout + shown.stdout).not.toContain('ada@example.org')
    expect(await evt('show', 'nobody')).toMatchObject({ exit: 2, stderr: expect.stringContaining('evt saga list') })
  })

  it('questions the name of a saga that neither the store nor a service knows', async () => {
    for (const words of [
      ['list', '--saga', 'accounts.registratoin'],
      ['retry', '--stuck', '--saga', 'accounts.registratoin'],
      ['show', 'ada', '--saga', 'accounts.registratoin'],
    ])
      expect(await evt(...words), words.join(' ')).toMatchObject({
        exit: 2,
        stderr: expect.stringMatching(/accounts\.registratoin[\s\S]*did you mean accounts\.registration/),
      })
    expect(await evt('list', '--saga', 'accounts.registration')).toMatchObject({ exit: 0 })
  })

  it('changes nothing without consent; retry and compensate are in the audit log and wait for a bridge', async () => {
    for (const words of [
      ['retry', '--stuck'],
      ['compensate', '1'],
    ]) {
      expect(await evt(...words)).toMatchObject({ exit: 4 })
      expect(await evt(...words, '--dry-run')).toMatchObject({ exit: 0 })
    }
    expect(await statusOf(1)).toBe('stuck')
    expect(await evt('retry')).toMatchObject({ exit: 2, stderr: expect.stringContaining('--stuck') })
    await addStuckSaga(database.store).catch(() => {})
    expect(await evt('retry', '--stuck', '--yes', '--reason', 'deployed')).toMatchObject({
      exit: 5,
      stderr: expect.stringContaining('no running bridge has'),
    })
    expect(await statusOf(1)).toBe('running')
    expect(await evt('retry', '1', '--yes')).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('nothing of it has failed'),
    })
    expect(await evt('compensate', '1', '--skip', '--yes')).toMatchObject({ exit: 2 })
    expect(await evt('compensate', '1', '--yes', '--reason', 'wrong')).toMatchObject({ exit: 0 })
    expect(await statusOf(1)).toBe('compensating')
    const { rows } = await database.store.query('select verb, target, reason, affected::int from evt.audit order by id')
    expect(rows).toEqual([
      { verb: 'saga retry', target: 'stuck', reason: 'deployed', affected: 1 },
      { verb: 'saga compensate', target: '1', reason: 'wrong', affected: 1 },
    ])
    const { rows: timers } = await database.store.query('select kind from evt.timers')
    expect(timers).toEqual([{ kind: 'go' }])
  })

  it('retry says that it is stuck again, where a bridge has tried; what was skipped is shown as that', async () => {
    await using own = (await createStoreFor('saga')) as TestDatabase
    const began = defineEvent('user.registered', { 1: z.object({ userId: z.string(), email: z.string() }) })
    const registration = defineSaga({
      ...{ name: 'accounts.registration', version: 2, startsOn: began },
      state: z.object({ userId: z.string(), email: z.string() }),
      steps: ({ step }) => [step('profile', { run() {} })],
    })
    const bridge = createBridge({ store: own.url, sagas: [registration], grace: '1s' })
    onTestFinished(() => bridge.stop())
    await bridge.start()
    const beats = `select from evt.instances where sample::text like '%accounts.registration%'`
    await until(async () => (await own.store.query(beats)).rows.length === 1)
    const ran = await runHere(['saga', 'retry', '1', '--yes'], { store: own.url, cwd: nowhere.path })
    expect(ran, ran.stderr).toMatchObject({
      exit: 1,
      stdout: expect.stringMatching(/^retried 1 on .* · stuck again 1 \(/),
    })
    await own.store.query(`update evt.sagas set steps = jsonb_set(steps::jsonb, '{profile,status}', '"compensated"')`)
    await own.store.query(
      `insert into evt.saga_history (saga_id, what, step, by) values (1, 'skipped', 'profile', 'ada')`,
    )
    const shown = await runHere(['saga', 'show', '1'], { store: own.url, cwd: nowhere.path })
    expect(shown.stdout).toMatch(/profile +compensation skipped/)
  })

  it('what cannot be done is said before anybody is asked, with what can be', async () => {
    await database.store.query(
      `update evt.sagas set status = 'stuck', phase = 'compensating', stuck = 'the bank is away'`,
    )
    expect(await evt('compensate', '1')).toMatchObject({
      exit: 2,
      stderr: expect.stringMatching(/the bank is away\nhint: .*evt saga retry 1.*evt saga compensate 1 --skip/),
    })
    expect(await evt('retry', '1')).toMatchObject({ exit: 4, stderr: expect.stringContaining('would retry 1 saga on') })
    await database.store.query(`update evt.sagas set status = 'compensating', stuck = null`)
    for (const words of [
      ['compensate', '1'],
      ['compensate', '1', '--skip'],
      ['retry', '1'],
    ])
      expect(await evt(...words, '--dry-run'), words.join(' ')).toMatchObject({ exit: 2 })
    await database.store.query(`update evt.sagas set status = 'failed', ended_at = clock_timestamp()`)
    for (const words of [
      ['compensate', '1'],
      ['compensate', '1', '--skip'],
      ['retry', '1'],
    ])
      expect(await evt(...words), words.join(' ')).toMatchObject({
        exit: 2,
        stderr: expect.stringContaining('it has ended'),
      })
  })
})
