import { copyFileSync, writeFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { createNowhere, runHere } from './evt.ts'

const nowhere = createNowhere()
let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase({ max: 3 })
  copyFileSync(resolve(import.meta.dirname, '../../fixtures/scenarios/working-day.yaml'), path('working-day.yaml'))
})
afterAll(async () => {
  nowhere.dispose()
  await database[Symbol.asyncDispose]()
})

const path = (file: string) => join(nowhere.path, file)
const write = (file: string, content: string) => writeFileSync(path(file), content)
const gen = (words: readonly string[], stdin = '') =>
  runHere(['gen', ...words], { store: database.url, cwd: nowhere.path, stdin })
const parsed = (stdout: string) =>
  stdout
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
const ofTag = async (tag: string) =>
  (
    await database.store.query(
      `select type, subject, data, time from evt.outbox where data::text like $1 order by seq`,
      [`%${tag}%`],
    )
  ).rows

describe('evt gen of a scenario', () => {
  it('prints its events in the order of their times, the same for the same seed', async () => {
    const words = ['./working-day.yaml', '--count', '20', '--seed', '7', '--dry-run']
    const [once, again] = [await gen(words), await gen(words)]
    expect(once).toMatchObject({ exit: 0, stdout: again.stdout })
    const events = parsed(once.stdout)
    expect(events[0]).toMatchObject({ type: 'user.created', campaign: 'autumn' })
    expect(events.map(({ time }) => time)).toEqual(events.map(({ time }) => time).toSorted())
    expect(new Set(events.map(({ correlationid }) => correlationid)).size).toBe(20)
  })

  it('lies in the past without --rate, and takes no time', async () => {
    const { stdout } = await gen(['./working-day.yaml', '--count', '5', '--dry-run'])
    for (const { time } of parsed(stdout)) expect(Date.parse(time)).toBeLessThanOrEqual(Date.now())
  })

  it('is published at the rate of its instances, its think times shortened by --speed', async () => {
    const ran = await gen(['./working-day.yaml', '--count', '4', '--rate', '20', '--speed', '1000', '--json'])
    expect(ran.exit).toBe(0)
    const { asked, confirmed } = JSON.parse(ran.stdout).data
    expect(asked).toBe(confirmed)
    expect(asked).toBeGreaterThanOrEqual(4 * 5)
    const { rows } = await database.store.query('select count(*)::int as n from evt.outbox')
    expect(rows[0]?.n).toBe(asked)
  })

  it('comes from a module too, several at once by weight, of several tenants', async () => {
    const index = JSON.stringify(resolve(import.meta.dirname, '../../src/index.ts'))
    write(
      'two.ts',
      `import { defineScenario } from ${index}
       export default defineScenario({ scenario: 'first', steps: [{ publish: 'user.created' }] })
       export const second = defineScenario({ scenario: 'second', steps: [{ include: 'first' }, { publish: 'auth.login' }] })`,
    )
    const words = ['./two.ts', '--weights', 'first=3,second=1', '--tenants', '2', '--count', '200', '--dry-run']
    const events = parsed((await gen(words)).stdout)
    const logins = events.filter(({ type }) => type === 'auth.login').length
    expect(events.length - logins).toBe(200)
    expect(logins).toBeGreaterThan(25)
    expect(logins).toBeLessThan(85)
    expect(new Set(events.map(({ tenant }) => tenant))).toEqual(new Set(['tenant-1', 'tenant-2']))
  })

  it('shows what the services bring', async () => {
    expect(await gen(['--list', '--json'])).toMatchObject({ exit: 0, stdout: expect.stringContaining('"scenarios"') })
  })
})

const answered = (type: string, tag: string, within: string) => `scenario: answered
steps:
  - publish: user.created
    as: user
    set: { data.user_data.name: "${tag}" }
  - expect: ${type}
    where: data.user_id == \${user.data.user_id}
    within: ${within}
  - think: 2d
  - publish: user.deleted
`

describe('what a scenario expects', () => {
  it('makes it go on when it comes', async () => {
    write('answered.yaml', answered('user.suspended', 'Wanda Waits', '20s'))
    const startedMs = Date.now()
    const running = gen(['./answered.yaml', '--json'])
    await until(async () => (await ofTag('Wanda Waits')).length > 0, { withinMs: 15_000 })
    const [created] = await ofTag('Wanda Waits')
    const data = { ...(created?.data as object), changes: ['is_active'] }
    await gen(['-f', '-'], `${JSON.stringify({ type: 'user.suspended', subject: created?.subject, data })}\n`)
    const ran = await running
    expect(ran, ran.stderr).toMatchObject({ exit: 0 })
    expect(JSON.parse(ran.stdout).data).toMatchObject({
      asked: 2,
      confirmed: 2,
      expected: { asked: 1, met: 1, unmet: [] },
    })
    expect((await ofTag('Wanda Waits')).map(({ type }) => type)).toEqual([
      'user.created',
      'user.suspended',
      'user.deleted',
    ])
    // Without --rate think times take none: what follows an answer is later than it, and not days before.
    const times = (await ofTag('Wanda Waits')).map(({ time }) => Number(new Date(time as Date)))
    expect(times).toEqual(times.toSorted((a, b) => a - b))
    expect(Math.min(...times)).toBeGreaterThan(startedMs - 60_000)
    expect(Math.max(...times)).toBeLessThan(Date.now() + 1_000)
  })

  it('says which expectation of which instance was let down, goes no further there, and exits 1', async () => {
    write('let-down.yaml', answered('user.*', 'Larry Letdown', '300ms'))
    const ran = await gen(['./let-down.yaml', '--count', '3'])
    expect(ran).toMatchObject({ exit: 1, stdout: expect.stringMatching(/asked 3 · .*did not come 3/) })
    expect(ran.stderr).toMatch(
      /scenario answered, instance 2, steps\[1\]: expected user\.\* where data\.user_id == "[0-9a-f-]{36}" within 300ms: /,
    )
    expect((await ofTag('Larry Letdown')).map(({ type }) => type)).toEqual(Array(3).fill('user.created'))
    const { stdout } = await gen(['./let-down.yaml', '--json'])
    expect(JSON.parse(stdout)).toMatchObject({
      status: 'fail',
      data: { expected: { asked: 1, met: 0, unmet: [{ scenario: 'answered', instance: 1, step: 'steps[1]' }] } },
    })
  })

  it('is passed over by --dry-run, which says so', async () => {
    write('dry.yaml', answered('user.*', 'Dora Dry', '300ms'))
    expect(await gen(['./dry.yaml', '--dry-run'])).toMatchObject({
      exit: 0,
      stderr: expect.stringContaining('1 expected event was not waited for'),
    })
  })
})

describe('a scenario that is none', () => {
  write('broken.yaml', 'scenario: x\nsteps:\n  - publish: user.creatd\n')
  write('throws.ts', "throw new Error('the database is away')\n")
  write('imports.ts', "import './nowhere.ts'\n")
  write('none.ts', 'export const answer = 42\n')
  write('empty.yaml', '')
  it.each([
    [
      ['./broken.yaml'],
      './broken.yaml:3: steps[0].publish: user.creatd: no contract of that type',
      'did you mean user.created?',
    ],
    [['./throws.ts'], 'cannot import ./throws.ts: the database is away', 'try node on it'],
    [['./imports.ts'], 'cannot import ./imports.ts: ', 'try node on it'],
    [['./none.ts'], 'cannot use ./none.ts: it exports no scenario', 'defineScenario'],
    [['./empty.yaml'], './empty.yaml: it is empty', 'docs/generating.md'],
    [['./away.yaml'], 'cannot read scenario ./away.yaml: there is no such file', '--list'],
    [['./away.ts'], 'cannot read scenario ./away.ts: there is no such file', '--list'],
    [['scenario:nowhere-to-be-found'], 'cannot play scenario nowhere-to-be-found', ''],
    [['./working-day.yaml', 'user.created'], 'cannot make user.created beside scenarios', 'start two'],
    [['./working-day.yaml', '--set', 'data.x=1'], 'cannot use --set with a scenario', 'set: {'],
    [['./working-day.yaml', '--learn', 'away.ndjson'], 'cannot use --learn with a scenario', 'start two'],
    [['./working-day.yaml', '--duration', '1s'], 'cannot play scenarios for --duration without --rate', '--count 100'],
    [['./working-day.yaml', '--weights', 'workday=1'], 'cannot weigh workday', 'working-day'],
    [['user.created', '--speed', '2'], 'cannot use --speed', '--rate'],
  ])('%j is refused before anything is published', async (words, message, hint) => {
    const ran = await gen(words)
    expect(ran.exit, ran.stderr).toBe(2)
    expect(ran.stderr).toContain(message)
    expect(ran.stderr).toContain(`hint: `)
    expect(ran.stderr).toContain(hint)
  })
})
