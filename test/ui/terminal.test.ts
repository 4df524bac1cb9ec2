import { spawn, spawnSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { resolve } from 'node:path'
import { stripVTControlCharacters } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createNowhere, type Running, runHere, start } from '../commands/evt.ts'
import { createTestDatabase, type TestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'

// util-linux's `script` makes the pseudo-terminal; Node runs no .tsx, so that what runs is the build of `npm test`.
const evt = resolve(import.meta.dirname, '../../bin/evt.js')
/** A tool of the system, not of a package. */
const terminalMaker = 'script'
const missing = !existsSync(resolve(evt, '../../dist/main.js'))
  ? 'a build (npm run build)'
  : !/util-linux/.test(spawnSync(terminalMaker, ['--version']).stdout?.toString() ?? '')
    ? "util-linux's script"
    : undefined
if (missing) process.stderr.write(`SKIPPED: the dashboard in a real terminal: ${missing} is missing\n`)

const nowhere = createNowhere()
let database: TestDatabase
let bridge: Running
beforeAll(async () => {
  if (missing) return
  database = await createTestDatabase({ max: 3 })
  bridge = start(['up', '--services', 'icons', '--grace', '2s', '--log-level', 'warn'], {
    store: database.url,
    cwd: nowhere.path,
  })
  await bridge.said(/bridge .* is up/)
})
afterAll(async () => {
  bridge?.signal('SIGTERM')
  await bridge?.ended
  await database?.[Symbol.asyncDispose]()
  nowhere.dispose()
})

interface Terminal {
  /** Everything that was written, escapes included. */
  written(): string
  type(text: string): void
  readonly pid: () => number
  readonly ended: Promise<number | null>
}

function openTerminal(): Terminal {
  const command = `stty cols 100 rows 40; echo pid=$$; exec '${process.execPath}' '${evt}' dash`
  const child = spawn(terminalMaker, ['-qfec', command, '/dev/null'], {
    cwd: nowhere.path,
    env: {
      PATH: process.env.PATH,
      HOME: nowhere.path,
      TERM: 'xterm-256color',
      SHELL: '/bin/sh',
      EVT_STORE: database.url,
    },
  })
  let written = ''
  child.stdout.on('data', (chunk) => {
    written += chunk
  })
  const ended = new Promise<number | null>((done) => child.on('close', done))
  onTestFinished(async () => {
    child.kill('SIGKILL')
    await ended
  })
  return {
    written: () => written,
    type: (text) => void child.stdin.write(text),
    pid: () => Number(/pid=(\d+)/.exec(written)?.[1]),
    ended,
  }
}

async function openDashboard(): Promise<Terminal> {
  const terminal = openTerminal()
  await until(() => /icons\.preferences/.test(stripVTControlCharacters(terminal.written())), {
    withinMs: 15_000,
    what: 'the table of handlers',
  })
  return terminal
}

/** Alternate screen left and cursor shown, each later than the other way round. */
function expectRestored(written: string): void {
  expect(written.lastIndexOf('\u001b[?1049l')).toBeGreaterThan(written.lastIndexOf('\u001b[?1049h'))
  expect(written.lastIndexOf('\u001b[?25h')).toBeGreaterThan(written.lastIndexOf('\u001b[?25l'))
}

describe.skipIf(missing !== undefined)('evt dash in a terminal', () => {
  it.each([
    ['q', 'q'],
    ['Ctrl-C', '\u0003'],
  ])('shows the handlers of a running bridge, and restores the terminal on %s', async (_name, key) => {
    const terminal = await openDashboard()
    expect(terminal.written()).toContain('\u001b[?1049h')
    terminal.type(key)
    expect(await terminal.ended).toBe(0)
    expectRestored(terminal.written())
  })

  it('restores the terminal when it is terminated, and exits 143', async () => {
    const terminal = await openDashboard()
    process.kill(terminal.pid(), 'SIGTERM')
    expect(await terminal.ended).toBe(143)
    expectRestored(terminal.written())
  })
})

describe.skipIf(missing !== undefined)('evt dash --once', () => {
  it('prints what a person needs of every panel but the live tail, without escapes', async () => {
    const { exit, stdout } = await runHere(['dash', '--once'], { store: database.url, cwd: nowhere.path })
    expect(exit).toBe(0)
    expect(stdout).toMatch(/^evt dash .* bridges 1 {2}leader evt-/)
    expect(stdout).toMatch(/● icons\.preferences +0/)
    expect(stdout).toContain('no dead letters')
    expect(stdout).toBe(stripVTControlCharacters(stdout))
    expect(stdout).not.toMatch(/Live tail|\? help/)
  })

  it('refuses to open a screen where there is none, and says what to run', async () => {
    const { exit, stderr } = await runHere(['dash'], { store: database.url, cwd: nowhere.path })
    expect(exit).toBe(2)
    expect(stderr).toContain('evt dash --once')
  })
})
