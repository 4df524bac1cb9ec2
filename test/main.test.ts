import { execFile } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { createNowhere, main, type RunOptions, run, start } from './commands/evt.ts'
import { createTestDatabase, type TestDatabase } from './setup/database.ts'
import { until } from './setup/until.ts'

const nowhere = createNowhere()
let database: TestDatabase
beforeAll(async () => {
  database = await createTestDatabase({ max: 2 })
})
afterAll(async () => {
  nowhere.dispose()
  await database[Symbol.asyncDispose]()
})
const inStore = (more: RunOptions = {}): RunOptions => ({ store: database.url, cwd: nowhere.path, ...more })
const follow = async (words: readonly string[]) => {
  const running = start(words, inStore())
  await running.said(/tail postgres/)
  return running
}
const committed = async () =>
  Number((await database.store.query('select count(*) as count from evt.outbox')).rows[0]?.count)

describe('the process', () => {
  it('loads no driver, no React, no generator and no command for help and version', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'evt-modules-'))
    try {
      const list = join(directory, 'modules')
      const spy = join(directory, 'spy.mjs')
      writeFileSync(
        spy,
        `import { appendFileSync } from 'node:fs'\nimport { registerHooks } from 'node:module'\n` +
          `registerHooks({ load(url, context, next) { appendFileSync(${JSON.stringify(list)}, url + '\\n'); return next(url, context) } })\n`,
      )
      for (const words of [['--help'], ['--version'], ['dlq', '--help']]) {
        const ran = await run(words, { cwd: nowhere.path, env: { NODE_OPTIONS: `--import ${spy}` } })
        expect(ran).toMatchObject({ exit: 0, stderr: '' })
      }
      const modules = readFileSync(list, 'utf8').trim().split('\n')
      expect(modules.some((url) => url.endsWith('/src/main.ts'))).toBe(true)
      expect(modules.filter((url) => url.includes('node_modules'))).toEqual([])
      const commands = modules.filter((url) =>
        /\/src\/(commands\/(?!line\/|registry|command\.ts)|store|ui|generators|transports|bench)/.test(url),
      )
      expect(commands).toEqual([])
    } finally {
      rmSync(directory, { recursive: true, force: true })
    }
  })

  it('prints help on stdout with 0 when asked, and a group without a verb on stderr with 2', async () => {
    const [asked, bare, version] = await Promise.all([
      run(['help', 'dlq', 'list'], inStore()),
      run(['dlq'], inStore()),
      run(['--version'], inStore()),
    ])
    expect(asked).toMatchObject({ exit: 0, stdout: expect.stringContaining('evt dlq list'), stderr: '' })
    expect(bare).toMatchObject({ exit: 2, stdout: '', stderr: expect.stringContaining('evt dlq replay') })
    expect(version.stdout).toMatch(/^evt \d+\.\d+\.\d+\n$/)
  })

  it('ends quietly with 0 when the reader of its output is gone', async () => {
    await run(['gen', 'user.created', '--count', '5k', '-q'], inStore())
    for (const words of [
      ['gen', 'user.created', '--count', '200k', '--dry-run'],
      ['tail', '--since', 'start', '-q'],
    ]) {
      const running = start(words, inStore())
      running.stdout.once('data', () => (running.stdout as NodeJS.ReadStream).destroy())
      expect(await running.ended, words.join(' ')).toMatchObject({ exit: 0, stderr: '' })
    }
  })

  it.skipIf(!existsSync('/dev/full'))('says that its output could not be written, and exits 5', async () => {
    const line = (words: string) => `"$NODE" "$EVT" ${words} > /dev/full`
    for (const words of [
      '--help',
      '--version',
      'gen user.created --count 20k --dry-run',
      'tail --help',
      'status --json',
    ]) {
      const env = { NODE: process.execPath, EVT: main, EVT_STORE: database.url, HOME: nowhere.path }
      const ran = await promisify(execFile)('sh', ['-c', line(words)], { cwd: nowhere.path, env }).catch(
        (error) => error,
      )
      expect(ran, words).toMatchObject({ code: 5, stderr: expect.stringContaining('no space left on device') })
      expect(ran.stderr).toMatch(/(^|\n)evt: cannot write to standard output: .*\nhint: .*space.*\n$/)
      expect(ran.stderr).not.toMatch(/defect|\n\s+at /)
    }
  })

  it('ends a tail that follows with 0 on Ctrl-C, with its scan line', async () => {
    const running = await follow(['tail'])
    running.signal('SIGINT')
    expect(await running.ended).toMatchObject({ exit: 0, stderr: expect.stringContaining('stopped: interrupted') })
  })

  it.each([
    ['SIGINT', 130],
    ['SIGTERM', 143],
    ['SIGHUP', 129],
  ] as const)(
    'ends a writer on %s with %i, between two transactions, saying what is confirmed',
    async (signal, exit) => {
      const before = await committed()
      const running = start(['gen', 'user.created', '--rate', '200', '--json'], inStore())
      await until(async () => (await committed()) > before, { withinMs: 10_000 })
      // Twice, as it arrives when npm hands on what the terminal has sent already.
      for (const name of [signal, signal]) running.signal(name)
      const ran = await running.ended
      expect(ran.exit).toBe(exit)
      const { data } = JSON.parse(ran.stdout)
      expect(data).toMatchObject({ unknown: 0, confirmed: (await committed()) - before })
      expect(data.asked).toBe(data.confirmed)
    },
  )

  it('ends at once on the second signal, also while a server does not answer', async () => {
    const server = createServer(() => {}).listen(0, '127.0.0.1')
    onTestFinished(() => void server.close())
    const connected = once(server, 'connection')
    await once(server, 'listening')
    const running = start(
      ['tail', '--source', `postgres://127.0.0.1:${(server.address() as AddressInfo).port}/x`],
      inStore(),
    )
    const [socket] = (await connected) as [Socket]
    socket.on('error', () => {})
    let exit: number | undefined
    void running.ended.then((ran) => {
      exit = ran.exit
    })
    // Two signals of one name at the same moment may arrive as one.
    await until(() => exit !== undefined || void running.signal('SIGINT'), { withinMs: 3_000 })
    expect(exit).toBe(130)
  })

  it('colours nothing off a terminal, unless it is told to', async () => {
    const sequence = '\u001b['
    const [plain, forced, none] = await Promise.all([
      run(['config', 'show'], inStore()),
      run(['config', 'show'], inStore({ env: { FORCE_COLOR: '1' } })),
      run(['config', 'show', '--color', 'never'], inStore({ env: { FORCE_COLOR: '1' } })),
    ])
    expect(plain.stdout).not.toContain(sequence)
    expect(forced.stdout).toContain(sequence)
    expect(none.stdout).not.toContain(sequence)
  })
})
