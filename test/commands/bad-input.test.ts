import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { TestDatabase } from '../setup/database.ts'
import { createNowhere, main, type RunOptions, runHere } from './evt.ts'
import { startOldServer } from './old-server.ts'
import { createStoreFor } from './stores.ts'

const nowhere = createNowhere()
let database: TestDatabase
let empty: TestDatabase
beforeAll(async () => {
  database = (await createStoreFor('store')) as TestDatabase
  empty = (await createStoreFor('empty-store')) as TestDatabase
})
afterAll(async () => {
  nowhere.dispose()
  await database[Symbol.asyncDispose]()
  await empty[Symbol.asyncDispose]()
})

const evt = (words: readonly string[], options: RunOptions = {}) =>
  runHere(words, { store: database.url, cwd: nowhere.path, ...options })
const big = JSON.stringify({ type: 'note.taken', data: 'x'.repeat(2 * 1024 * 1024) })

describe('bad input', () => {
  it.each([
    [['tial'], 'tail'],
    [['dlq', 'lst'], 'dlq list'],
    [['migrat', 'up'], 'migrate'],
    [['tail', '--limt', '3'], '--limit'],
    [['gen', 'user.created', '--cuont', '3'], '--count'],
    [['gen', 'user.creatd', '--dry-run'], 'user.created'],
    [['gen', 'user.created', '--corrupt', 'poisn', '--dry-run'], 'poison'],
    [['gen', 'user.created', '--set', 'data.user_data.emial=x', '--dry-run'], 'email'],
  ])('%j is refused with %s as suggestion', async (words, suggestion) => {
    const { exit, stderr } = await evt(words)
    expect({ exit, stderr }).toMatchObject({ exit: 2, stderr: expect.stringContaining(suggestion) })
  })

  it.each(['0', '-1', 'abc', ''])('--rate %j says what a rate is', async (rate) => {
    for (const words of [['gen', 'user.created'], ['dlq', 'replay'], ['bench']]) {
      const { exit, stderr } = await evt([...words, '--rate', rate])
      expect({ exit, stderr }, words.join(' ')).toMatchObject({
        exit: 2,
        stderr: expect.stringMatching(/^evt: cannot use --rate/),
      })
    }
  })

  it.each([
    [['gen', 'user.created', '--count', 'many'], 'cannot use --count many'],
    [['gen', 'user.created', '--duration', '30'], 'cannot use --duration 30: the unit is missing'],
    [['gen', 'user.created', '--ratio', '200%'], 'cannot use --ratio'],
    [['tail', '--since', 'yesterday'], 'cannot use --since yesterday'],
    [['tail', '-i', '['], "cannot use --include '['"],
    [['tail', '--output', 'xml'], 'it is none of text, ndjson, json, none'],
    [['tail', '--source', 'nope'], 'it is no URL'],
    [['tail', '--source', 'carrier-pigeon://loft'], 'no transport for carrier-pigeon'],
    [['dlq', 'show'], "missing required argument 'id'"],
    [['dlq', 'show', 'abc'], 'it is no number'],
    [['dlq', 'show', '999'], 'there is none'],
    [['dlq', 'replay', '--all', '--cause', '3f2a'], 'which is it?'],
    [['migrate', 'up', 'now'], 'too many arguments'],
    [['capture', 'add', 'nothing_here'], 'there is no such table'],
    [['capture', 'add', 'users', '--rule', 'is_active'], 'column=value:type'],
    [['tail', '--stages', '--report'], 'a table of types has no single events'],
    [['tail', '--limit', '0'], 'it must be 1 or more'],
    [['tail', '--profile', 'prod'], 'no configuration file defines it'],
    [['tail', '--config', 'missing.yaml'], 'there is no such file'],
  ])('%j is refused: %s', async (words, reason) => {
    const { exit, stderr } = await evt(words)
    expect({ exit, stderr }).toMatchObject({ exit: 2, stderr: expect.stringContaining(reason) })
  })

  it('points at the character of a pattern and of an expression', async () => {
    const pattern = await evt(['tail', 'user.cre*'])
    expect(pattern).toMatchObject({ exit: 2, stderr: expect.stringMatching(/\n {2}user\.cre\*\n {10}\^\n/) })
    const where = await evt(['tail', '--where', 'data.plan = 3'])
    expect(where).toMatchObject({ exit: 2, stderr: expect.stringMatching(/\n {2}data\.plan = 3\n {12}\^\n/) })
  })

  it('shows the quotes when the shell expanded a pattern into file names', async () => {
    for (const command of ['tail', 'gen']) {
      const { exit, stderr } = await evt([command, 'user.json', 'user.ts'])
      expect({ exit, stderr }).toMatchObject({
        exit: 2,
        stderr: expect.stringContaining(`write evt ${command} 'user.*'`),
      })
    }
  })

  it('takes an unquoted pattern where no file matches, and shows the quotes where the shell found files', async () => {
    const place = createNowhere()
    onTestFinished(place.dispose)
    const shell = (line: string) =>
      promisify(execFile)('sh', ['-c', `"$NODE" "$EVT" ${line}`], {
        cwd: place.path,
        env: { NODE: process.execPath, EVT: main, EVT_STORE: database.url, HOME: place.path },
      }).catch((error) => ({ stdout: '', stderr: String(error.stderr), exit: error.code }))
    expect(await shell('tail user.* --since start --no-follow -q')).toEqual({ stdout: '', stderr: '' })
    for (const name of ['user.a', 'user.b']) writeFileSync(join(place.path, name), '')
    expect(await shell('tail user.* --no-follow')).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining("evt tail 'user.*'"),
    })
    writeFileSync(join(place.path, 'user.created'), 'a file and a type')
    expect(await shell('tail user.created --since start --no-follow -q')).toEqual({ stdout: '', stderr: '' })
    expect(await shell("tail 'user.*' --since start --no-follow -q")).toEqual({ stdout: '', stderr: '' })
  })

  it.each(['q7z/zqz', '771/993', 'q7z#zqz', '771#993', 'q7z@zqz/zz', 'q7z?zqz'])(
    'shows nothing of a password that ends its URL too early, and says how to write it: %s',
    async (password) => {
      const store = `postgres://me:${password}@127.0.0.1:1/shop`
      for (const words of [['tail'], ['up'], ['status'], ['dlq', 'list'], ['migrate', 'up'], ['capture', 'list']]) {
        const { exit, stdout, stderr } = await evt(words, { store })
        expect({ exit, stderr }).toMatchObject({
          exit: 2,
          stderr: expect.stringMatching(/cannot use postgres:\/\/\*\*\* .*\nhint: percent-encode.*%2F/),
        })
        for (const part of password.split(/[^a-z0-9]/)) expect(stdout + stderr).not.toContain(part)
      }
    },
  )

  it('names host and database of a server that cannot be reached, and hides the password', async () => {
    const url = 'postgres://me:secret@127.0.0.1:1/shop'
    for (const words of [['tail'], ['gen', 'user.created'], ['dlq', 'list'], ['migrate', 'up'], ['capture', 'list']]) {
      const { exit, stdout, stderr } = await evt(words, { store: url })
      expect({ exit, stderr }).toMatchObject({ exit: 3, stderr: expect.stringContaining('127.0.0.1:1/shop') })
      expect(stdout + stderr).not.toContain('secret')
    }
    const { stdout } = await evt(['config', 'show', '--json'], { store: url })
    expect(stdout).toContain('me:***@')
    expect(stdout).not.toContain('secret')
  })

  it('takes an empty --store for a mistake, not for whatever store runs here', async () => {
    expect(await evt(['status', '--store', ''])).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('it is empty'),
    })
  })

  it('tells a database that is not there from a server that is not there', async () => {
    const store = Object.assign(new URL(database.url), { pathname: '/no_such_shop' }).href
    expect(await evt(['tail'], { store })).toMatchObject({
      exit: 3,
      stderr: expect.stringMatching(/there is no database no_such_shop at .*\n.*createdb no_such_shop/),
    })
  })

  it('says which PostgreSQL it needs when the server is too old', async () => {
    const ran = await evt(['tail'], { store: await startOldServer('130014') })
    expect(ran).toMatchObject({
      exit: 2,
      stderr: expect.stringMatching(/me:\*\*\*@.*: PostgreSQL 13 is too old\n.*evt needs PostgreSQL 14 or newer/),
    })
  })

  it('says where it may not write its data directory', async () => {
    const place = createNowhere()
    onTestFinished(place.dispose)
    writeFileSync(join(place.path, '.evt'), 'in the way of the directory, for root too')
    for (const words of [['up'], ['demo', '--for', '1s']]) {
      const ran = await evt(words, { store: undefined, cwd: place.path })
      expect(ran).toMatchObject({ exit: 2, stderr: expect.stringContaining(join(place.path, '.evt')) })
      expect(ran.stderr).toMatch(/hint: /)
    }
  })

  it('says what to run when the schema is missing', async () => {
    for (const words of [['tail'], ['gen', 'user.created'], ['dlq', 'list'], ['capture', 'list']]) {
      const { exit, stderr } = await evt(words, { store: empty.url })
      expect({ exit, stderr }).toMatchObject({ exit: 2, stderr: expect.stringContaining('run `evt migrate up`') })
    }
    expect(await evt([], { store: empty.url })).toMatchObject({
      exit: 2,
      stdout: expect.stringContaining('evt migrate up'),
    })
  })

  it('says how to get a store when there is none', async () => {
    const ran = await evt(['tail'], { store: undefined })
    expect(ran).toMatchObject({ exit: 3, stderr: expect.stringContaining('evt demo') })
    expect(await evt([], { store: undefined })).toMatchObject({ exit: 0, stdout: expect.stringContaining('evt demo') })
  })

  it('names the line of stdin that is no JSON, no event, or does not fit its contract', async () => {
    const good = '{"type":"note.taken","data":1}\n'
    const bad: [string, string][] = [
      ['nope', 'line 2'],
      ['[1]', 'line 2: '],
      ['{"type":"user.deleted","data":{}}', 'data.user_id'],
      ['{"type":"user.deleted","data":{}}', 'user.deleted'],
    ]
    for (const [line, mention] of bad) {
      const ran = await evt(['gen', '--input', '-', '--dry-run'], { stdin: `${good}${line}\n` })
      expect(ran).toMatchObject({ exit: 2, stderr: expect.stringContaining('cannot read line 2') })
      expect(ran.stderr).toContain(mention)
    }
    const unchecked = await evt(['gen', '--input', '-', '--dry-run', '--no-check'], { stdin: `${bad[2]?.[0]}\n` })
    expect(unchecked.exit).toBe(0)
  })

  it('says what was published before the line that stopped it, and exits 5', async () => {
    const stdin = `${'{"type":"note.taken","data":1}\n'.repeat(600)}nope\n`
    const ran = await evt(['gen', '--input', '-'], { stdin })
    expect(ran).toMatchObject({
      exit: 5,
      stdout: expect.stringContaining('confirmed 600'),
      stderr: expect.stringContaining('line 601'),
    })
  })

  it('refuses an event of 2 MiB with its size', async () => {
    const ran = await evt(['gen', '--input', '-'], { stdin: `${big}\n` })
    expect(ran).toMatchObject({ exit: 2, stderr: expect.stringMatching(/2,097,154 bytes, the limit is 1,048,576/) })
  })

  it('refuses one JSON document for a stream without end', async () => {
    expect(await evt(['tail', '--json'])).toMatchObject({ exit: 2, stderr: expect.stringContaining('-o ndjson') })
  })

  it('answers a refusal with an envelope when a document was asked for', async () => {
    for (const words of [
      ['tail', '--json'],
      ['dlq', 'list', '--json', '--limt', '3'],
    ]) {
      const { exit, stdout } = await evt(words)
      expect({ exit, document: JSON.parse(stdout) }).toMatchObject({
        exit: 2,
        document: { status: 'error', diagnostics: [{ code: 'usage' }] },
      })
    }
  })

  it('never shows a stack trace of its own errors, and the chain of causes only with --debug', async () => {
    const plain = await evt(['tail'], { store: 'postgres://127.0.0.1:1/x' })
    const debug = await evt(['tail', '--debug'], { store: 'postgres://127.0.0.1:1/x' })
    expect(plain.stderr).not.toMatch(/caused by|\n\s+at /)
    expect(debug.stderr).toMatch(/caused by/)
    expect(debug.stderr).not.toMatch(/\n\s+at /)
  })
})
