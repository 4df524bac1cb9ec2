import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { PassThrough } from 'node:stream'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { isOwnMachine } from '../../src/commands/line/store.ts'
import { EvtError } from '../../src/core/errors.ts'
import { createPrompter } from '../../src/output/prompt.ts'
import type { TestDatabase } from '../setup/database.ts'
import { createNowhere, runHere } from './evt.ts'
import { createStoreFor } from './stores.ts'

const nowhere = createNowhere()
let database: TestDatabase
beforeAll(async () => {
  database = (await createStoreFor('dead-letter')) as TestDatabase
  const profiles = { prod: { store: database.url, protect: true }, look: { store: database.url, readonly: true } }
  writeFileSync(join(nowhere.path, 'evt.config.json'), JSON.stringify({ profiles }))
})
afterAll(async () => {
  nowhere.dispose()
  await database[Symbol.asyncDispose]()
})
const evt = (words: readonly string[], env: Record<string, string> = {}) => runHere(words, { cwd: nowhere.path, env })
const untouched = async () =>
  (await database.store.query("select count(*)::int as open from evt.dead_letters where status = 'open'")).rows[0]?.open

describe('consent', () => {
  it('shows the plan with count and three samples off a terminal, exits 4, and names the flag', async () => {
    const ran = await evt(['dlq', 'replay'], { EVT_STORE: database.url })
    expect(ran).toMatchObject({ exit: 4, stdout: '', stderr: expect.stringContaining('--yes') })
    expect(ran.stderr).toMatch(/would replay 7 dead letters on postgres/)
    expect(ran.stderr.match(/\n {2}\d+ {2}icons\.user-preferences/g)).toHaveLength(3)
    expect(ran.stderr).toContain('… and 4 more')
    expect(await untouched()).toBe(7)
  })

  it('says the same with --dry-run, and touches nothing', async () => {
    const ran = await evt(['dlq', 'replay', '--dry-run'], { EVT_STORE: database.url })
    expect(ran).toMatchObject({ exit: 0, stdout: expect.stringContaining('would replay 7 dead letters') })
    expect(await untouched()).toBe(7)
  })

  it('is never given by CI in the environment', async () => {
    expect(await evt(['dlq', 'replay'], { EVT_STORE: database.url, CI: 'true' })).toMatchObject({ exit: 4 })
  })

  it('is bounded by --max-affected, also with --yes', async () => {
    const ran = await evt(['dlq', 'replay', '--yes', '--max-affected', '6'], { EVT_STORE: database.url })
    expect(ran).toMatchObject({ exit: 4, stderr: expect.stringContaining('--max-affected is 6') })
    expect(await untouched()).toBe(7)
  })

  it('is refused by a readonly profile, for every command that changes something', async () => {
    for (const words of [
      ['dlq', 'replay', '--yes'],
      ['gen', 'user.created'],
      ['migrate', 'up'],
      ['migrate', 'down', '--yes'],
      ['capture', 'remove', 'x', '--yes'],
    ]) {
      const ran = await evt([...words, '--profile', 'look'])
      expect(ran, words.join(' ')).toMatchObject({
        exit: 4,
        stderr: expect.stringContaining('profile look is readonly'),
      })
    }
  })

  it('of a protected profile needs a reason, and both flags on the command line itself', async () => {
    const inWords = ['dlq', 'replay', '--limit', '1', '--yes', '--reason', 'mended']
    expect(await evt(['dlq', 'replay', '--yes', '--profile', 'prod'])).toMatchObject({
      exit: 4,
      stderr: expect.stringContaining('--reason'),
    })
    expect(await evt(inWords, { EVT_PROFILE: 'prod' })).toMatchObject({ exit: 4 })
    expect(
      await evt([...inWords.filter((word) => word !== '--yes'), '--profile', 'prod'], { EVT_YES: '1' }),
    ).toMatchObject({ exit: 4 })
    expect(await evt(['gen', 'user.created', '--profile', 'prod'])).toMatchObject({ exit: 4 })
    expect(await untouched()).toBe(7)
    // No bridge runs, so the outcome is unknown; but it was allowed.
    expect(await evt([...inWords, '--profile', 'prod'])).toMatchObject({
      exit: 5,
      stdout: expect.stringContaining('replayed 1'),
    })
  })

  it.each([
    ['postgres://me@localhost/db', true],
    ['postgres://me@127.0.0.1:5432/db', true],
    ['postgres://me@[::1]/db', true],
    ['postgres:///db', true],
    ['postgres://me@%2Fvar%2Frun/db', true],
    ['postgres://me@db.example.com/db', false],
    ['postgres://localhost@db.example.com/db', false],
    ['postgres://me@localhost.example.com/db', false],
    ['postgres://me@127.example.com/db', false],
    ['postgres://me@10.0.0.1/db?host=localhost', false],
    ['postgres://me@127.0.0.1:5432/db?host=/var/run', true],
    ['postgres://me@127.0.0.1:5432/db?hostaddr=10.0.0.1', false],
    ['nonsense', false],
  ])('holds %s for this machine: %s', (url, own) => {
    expect(isOwnMachine(url)).toBe(own)
  })
})

describe('prompt', () => {
  const ask = async (typed: string | null) => {
    const [stdin, stderr] = [new PassThrough(), new PassThrough()].map((stream) =>
      Object.assign(stream, { isTTY: true }),
    )
    const prompter = createPrompter({
      stdin: stdin as unknown as NodeJS.ReadStream,
      stderr: stderr as unknown as NodeJS.WriteStream,
      format: 'text',
      signal: new AbortController().signal,
    })
    const answer = prompter.confirm('Replay 7 dead letters?', '--yes')
    stdin?.end(typed === null ? '' : `${typed}\n`)
    return answer
  }

  it.each([
    ['y', true],
    ['YES', true],
    ['n', false],
    ['', false],
    ['yikes', false],
    [null, false],
  ])('takes %j for %s', async (typed, expected) => {
    expect(await ask(typed)).toBe(expected)
  })

  it('asks nobody when a machine reads the output, also on a terminal', async () => {
    const stream = Object.assign(new PassThrough(), { isTTY: true })
    const prompter = createPrompter({
      stdin: stream as unknown as NodeJS.ReadStream,
      stderr: stream as unknown as NodeJS.WriteStream,
      format: 'json',
      signal: new AbortController().signal,
    })
    const refused = await prompter.confirm('Replay?', '--yes').catch((error: unknown) => error)
    expect(refused).toBeInstanceOf(EvtError)
    expect(refused).toMatchObject({ code: 'refused', hint: expect.stringContaining('--yes') })
  })
})
