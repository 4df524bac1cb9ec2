import { spawn, spawnSync } from 'node:child_process'
import { stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import type { TestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { createNowhere, main, runHere, start } from './evt.ts'
import { createStoreFor } from './stores.ts'

const nowhere = createNowhere()
let database: TestDatabase
beforeAll(async () => {
  database = (await createStoreFor('dead-letter')) as TestDatabase
})
afterAll(async () => {
  nowhere.dispose()
  await database[Symbol.asyncDispose]()
})
const count = async (text: string) =>
  Number((await database.store.query(`select count(*) as n from ${text}`)).rows[0]?.n)
const open = () => count("evt.dead_letters where status = 'open'")

describe('Ctrl-C', () => {
  it.each([
    [['tail'], 0],
    [['tail', '--since', 'start', '--no-follow'], 130],
    [['gen', 'user.created', '--count', '100'], 130],
    [['gen', 'user.created', '--rate', '10'], 130],
    [['gen', 'user.created', '--count', '100', '--dry-run'], 130],
    [['bench', '--duration', '1s'], 130],
    [['dlq', 'replay', '--yes'], 130],
  ])('before %j has begun ends it with %i, and nothing is done', async (words, exit) => {
    const ran = await runHere(words, { store: database.url, cwd: nowhere.path, signal: AbortSignal.abort() })
    expect(ran, ran.stderr).toMatchObject({ exit })
    expect({ open: await open(), events: await count('evt.outbox') }).toEqual({ open: 7, events: 0 })
    expect(await count("pg_namespace where nspname like 'evt\\_bench\\_%'")).toBe(0)
  })

  it('in the middle of a replay leaves each dead letter either open or replayed, says so, and exits 130', async () => {
    const running = start(['dlq', 'replay', '--yes', '--rate', '4'], { store: database.url, cwd: nowhere.path })
    await until(async () => (await open()) < 7, { withinMs: 10_000 })
    running.signal('SIGINT')
    const { exit, stdout, stderr } = await running.ended
    const left = await open()
    const replayed = await count('evt.redrives')
    expect({ exit, replayed }).toEqual({ exit: 130, replayed: 7 - left })
    expect(left).toBeGreaterThan(0)
    expect(await count('evt.deliveries')).toBe(replayed)
    expect(stdout).toContain(`replayed ${replayed} · `)
    expect(stderr).toContain('the same command goes on with it')
  })
})

/** A tool of the system, not of a package: util-linux's makes the pseudo-terminal. */
const terminalMaker = 'script'
const noTerminal = !/util-linux/.test(spawnSync(terminalMaker, ['--version']).stdout?.toString() ?? '')

/** A command in a terminal of its own; `exit` and whether the terminal takes lines again stand at the end of what it wrote. */
function inTerminal(words: string) {
  const line = `'${process.execPath}' '${main}' ${words}; echo "exit=$? $(stty -a | grep -o -e '-*icanon')"`
  const child = spawn(terminalMaker, ['-qfc', line, '/dev/null'], {
    cwd: nowhere.path,
    env: { PATH: process.env.PATH, HOME: nowhere.path, TERM: 'xterm', SHELL: '/bin/sh', EVT_STORE: database.url },
  })
  let written = ''
  child.stdout.on('data', (chunk) => {
    written += chunk
  })
  const ended = new Promise<void>((done) => child.on('close', () => done()))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return { written: () => stripVTControlCharacters(written), type: (text: string) => child.stdin.write(text), ended }
}

describe.skipIf(noTerminal)('at a prompt in a terminal', () => {
  it.each([
    ['Ctrl-C', '\u0003', 130, 'interrupted, nothing was done'],
    ['Ctrl-D', '\u0004', 4, 'the answer was no'],
    ['Enter', '\r', 4, 'the answer was no'],
  ])('%s leaves everything as it was, the terminal too', async (_name, key, exit, said) => {
    const before = await open()
    const terminal = inTerminal('dlq replay')
    await until(() => /\[y\/N\]/.test(terminal.written()), { withinMs: 10_000, what: 'the question' })
    terminal.type(key)
    await terminal.ended
    expect(terminal.written()).toMatch(new RegExp(`${said}\\r?\\nexit=${exit} icanon`))
    expect(await open()).toBe(before)
  })
})
