import { spawnSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { checksumOf } from '../../src/core/checksum.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { createNowhere, main, type RunOptions, run, runHere } from './evt.ts'
import { sequence } from './sequence.ts'

const nowhere = createNowhere()
let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase({ max: 3 })
})
afterAll(async () => {
  nowhere.dispose()
  await database[Symbol.asyncDispose]()
})

const options = (more: RunOptions = {}) => ({ store: database.url, cwd: nowhere.path, ...more })
const gen = (words: readonly string[], stdin = '') => runHere(['gen', ...words], options({ stdin }))
const stored = async (type: string) =>
  (
    await database.store.query(
      'select id, data::text as data, checksum, subject from evt.outbox where type = $1 order by seq',
      [type],
    )
  ).rows
const nested = (levels: number) => '['.repeat(levels) + ']'.repeat(levels)

describe('gen --input', () => {
  it('publishes data as it stands in the line, and prints it so', async () => {
    const data = '{"n": 12345678901234567890, "x": 1.0, "e":1e400, "2":"\\u0041", "1":-0}'
    const line = `{"type":"digits.kept","subject":"a/1","data": ${data} }\n`
    expect(await gen(['-f', '-'], line)).toMatchObject({ exit: 0, stdout: expect.stringContaining('confirmed 1') })
    expect(await stored('digits.kept')).toMatchObject([{ data, checksum: checksumOf(data), subject: 'a/1' }])
    for (const words of [['--dry-run'], ['--dry-run', '-o', 'ndjson'], ['-o', 'ndjson']]) {
      const ran = await gen(['-f', '-', ...words], line)
      expect(ran.stdout, words.join(' ')).toContain(`"data":${data}`)
    }
    const { stdout } = await gen(['-f', '-', '--dry-run', '--json', '--count', '1'], line)
    for (const number of ['12345678901234567890', '1e400']) expect(stdout).toContain(number)
  })

  it('publishes JSON in data_base64 as it stands there', async () => {
    const data = '{"n":12345678901234567890}'
    const base64 = Buffer.from(data).toString('base64')
    await gen(['-f', '-'], `{"type":"base64.kept","data_base64":"${base64}"}\n`)
    expect(await stored('base64.kept')).toMatchObject([{ data }])
  })

  it('tells two lines without ids apart that differ in digits only', async () => {
    const line = (n: string) => `{"type":"ids.made","data":${n}}\n`
    await gen(['-f', '-'], line('12345678901234567890') + line('12345678901234567891'))
    expect(new Set((await stored('ids.made')).map(({ id }) => id)).size).toBe(2)
  })

  it.each([
    ['"subject":7', 'subject is 7, not a text'],
    ['"subject":true', 'subject is true, not a text'],
    ['"subject":{"id":7}', 'subject is {"id":7}, not a text'],
    ['"userid":12345678901234567890', 'userid is a number whose digits would be lost'],
    ['"shop":12345678901234567890', 'shop is a number whose digits would be lost'],
    ['"shop":-1e400', 'shop is a number whose digits would be lost'],
    ['"type":"a b"', 'type '],
    ['"type":""', 'type '],
    ['"type":"a.*"', 'type '],
    ['"data":nope', 'it is no JSON'],
    ['"data":[…5,000 deep…]', 'deeper than 1,000 levels'],
    ['"far":[…50,000 deep…]', 'deeper than 1,000 levels'],
  ])('refuses %s with line and reason: %s', async (given, reason) => {
    const member = given.replace(/\[…([\d,]+) deep…\]/, (_, levels: string) => nested(Number(levels.replace(',', ''))))
    const good = '{"type":"note.taken","data":1}\n'
    for (const words of [[], ['--dry-run'], ['--dry-run', '--no-check']]) {
      const ran = await gen(['-f', '-', ...words], `${good.repeat(2)}{"type":"note.taken","data":1,${member}}\n`)
      expect(ran, words.join()).toMatchObject({ exit: words.length > 0 ? 2 : 5 })
      expect(ran.stderr).toMatch(/^evt: cannot read line 3: .*\nhint: /m)
      expect(ran.stderr).toContain(reason)
    }
  })

  it('publishes nothing of a file with a line that does not fit its contract, unless it is not to look', async () => {
    mkdirSync(nowhere.path, { recursive: true })
    const file = join(nowhere.path, 'unfit.ndjson')
    const good = '{"type":"file.checked","data":1}\n'
    writeFileSync(file, `${good.repeat(600)}{"type":"user.deleted","data":{}}\n`)
    const ran = await gen(['-f', file])
    expect(ran).toMatchObject({ exit: 2, stderr: expect.stringContaining('cannot read line 601: ') })
    expect(await stored('file.checked')).toEqual([])
    expect(await gen(['-f', file, '--count', '2'])).toMatchObject({ exit: 0 })
    expect(await gen(['-f', file, '--no-check'])).toMatchObject({ exit: 0 })
    expect(new Set((await stored('file.checked')).map(({ id }) => id)).size).toBe(600)
  })

  it('says that it was given a directory, and what no file is', async () => {
    mkdirSync(join(nowhere.path, 'events'), { recursive: true })
    const directory = await gen(['-f', join(nowhere.path, 'events')])
    expect(directory).toMatchObject({
      exit: 2,
      stderr: expect.stringMatching(/^evt: cannot read .*events: it is a dir/),
    })
    expect(await gen(['-f', join(nowhere.path, 'none.ndjson')])).toMatchObject({
      exit: 2,
      stderr: expect.stringMatching(/^evt: cannot read .*none\.ndjson: there is no such file\nhint: /),
    })
    expect(await gen(['-f', '/proc/self/mem'])).toMatchObject({
      exit: 2,
      stderr: expect.stringMatching(/^evt: cannot read \/proc\/self\/mem: /),
    })
  })
})

describe('gen --input of ids that are in the log', () => {
  const line = (id: string, data: number) => `{"id":"${id}","type":"note.taken","data":${data}}\n`
  const dropped = async () =>
    (await database.store.query('select duplicates::int, refused::int from evt.ticks order by tick desc limit 1'))
      .rows[0] as { duplicates: number; refused: number }

  it('tells duplicates from new ones, and exits 5 for another event under a known id', async () => {
    await gen(['-f', '-'], line('known', 1))
    await sequence(database.store)
    const before = await dropped()
    const same = await gen(['-f', '-'], line('known', 1) + line('new', 1) + line('new', 1))
    expect(same).toMatchObject({
      exit: 0,
      stdout: expect.stringContaining('asked 3 · accepted 1 · confirmed 1 · unknown 0 · duplicates 2 · '),
    })
    const other = await gen(['-f', '-', '--json'], line('known', 2) + line('newer', 1))
    expect(other).toMatchObject({
      exit: 5,
      stderr: expect.stringContaining('cannot publish note.taken known: another'),
    })
    expect(JSON.parse(other.stdout).data).toMatchObject({ asked: 2, confirmed: 1, duplicates: 0, conflicts: 1 })
    expect(await gen(['-f', '-'], line('known', 2))).toMatchObject({ exit: 5, stdout: '' })
    await sequence(database.store)
    const after = await dropped()
    expect([after.duplicates - before.duplicates, after.refused - before.refused]).toEqual([2, 2])
  })
})

describe('gen that is interrupted', () => {
  it('says what was asked for, and that it was interrupted', async () => {
    const ran = await runHere(['gen', 'user.created', '--count', '5000'], options({ signal: AbortSignal.abort() }))
    expect(ran).toMatchObject({
      exit: 130,
      stdout: expect.stringMatching(/^asked 5,000 · accepted 0 · confirmed 0 · unknown 0 · .*interrupted$/m),
    })
  })
})

describe('gen --max-affected', () => {
  it('bounds the events of bench too', async () => {
    const words = ['bench', '--rate', '100', '--duration', '1s', '--warmup', '0s', '--max-affected', '10']
    expect(await runHere(words, options())).toMatchObject({
      exit: 4,
      stderr: expect.stringContaining('send 100 scratch events'),
    })
  })

  it('refuses more also on this machine; --yes alone has no bound there', async () => {
    const words = ['user.created', '--count', '1001', '--yes']
    expect(await gen([...words, '--max-affected', '1000'])).toMatchObject({
      exit: 4,
      stderr: expect.stringContaining('--max-affected is 1,000'),
    })
    expect(await gen(words)).toMatchObject({ exit: 0 })
    expect((await gen(['--help'])).stdout.replace(/\s+/g, ' ')).toContain(
      '1000 with --yes; unbounded on this machine in no protected profile',
    )
  })
})

describe('standard input that is a directory', () => {
  it.each([[['gen', '-f', '-']], [['gen', '-f', '-', '--dry-run']], [['dlq', 'replay', '--ids', '-']]])(
    'is no empty one for %j',
    (words) => {
      const stdin = openSync(nowhere.path, 'r')
      onTestFinished(() => closeSync(stdin))
      const env = { PATH: process.env.PATH, HOME: nowhere.path, EVT_STORE: database.url }
      const ran = spawnSync(process.execPath, [main, ...words], {
        cwd: nowhere.path,
        env,
        stdio: [stdin, 'pipe', 'pipe'],
      })
      expect(ran.stderr.toString()).toMatch(/^evt: cannot read standard input: it is a directory\nhint: /)
      expect({ exit: ran.status, stdout: ran.stdout.toString() }).toEqual({ exit: 2, stdout: '' })
    },
  )
})

describe('gen that makes nothing', () => {
  it.each([
    [['-f', '-'], /standard input holds no event/],
    [['-f', '-', '--dry-run'], /standard input holds no event/],
    [['-f', '/dev/null'], /\/dev\/null holds no event/],
    [['user.created', '--count', '3', '--where', "type == 'x'"], /--where matched none of 3 events/],
    [['user.created', '--count', '3', '--where', "type == 'x'", '--dry-run'], /--where matched none of 3 events/],
    [['user.created', '--count', '3', '--where', "type == 'x'", '--json'], /--where matched none of 3 events/],
    [['user.created', '--count', '0'], /--count is 0/],
    [['user.created', '--rate', '1', '--duration', '0s', '--dry-run'], /--duration is 0/],
  ])('%j says why', async (words, why) => {
    const ran = await gen(words)
    expect(ran).toMatchObject({ exit: 0, stderr: expect.stringMatching(why) })
  })

  it('says so while it goes on, where its filter lets nothing through', async () => {
    const ran = await run(
      ['gen', 'user.created', '--rate', '100', '--duration', '4s', '--where', "type == 'x'"],
      options(),
    )
    expect(ran.stderr).toMatch(/--where matched none of \d+ events so far\n(.*\n)*.*--where matched none of 400 events/)
  })
})
