import { mkdirSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { startEmbedded } from '../../src/store/embedded.ts'
import { createTestDatabase } from '../setup/database.ts'
import { createNowhere, runHere } from './evt.ts'

const nowhere = createNowhere()
afterAll(() => nowhere.dispose())
const status = (...words: string[]) => runHere(['status', ...words], { cwd: nowhere.path })

describe('status', () => {
  it('ends with 2 for what is no store, as every command does, and with 3 for one that is not there', async () => {
    expect(await status('--store', 'foo')).toMatchObject({
      exit: 2,
      stderr: expect.stringContaining('no PostgreSQL URL'),
    })
    const away = await status('--store', 'postgres://u:secret@127.0.0.1:1/db')
    expect(away).toMatchObject({ exit: 3, stdout: expect.stringMatching(/^problem .*connection refused/m) })
    expect(away.stdout + away.stderr).not.toContain('secret')
    const { exit, stdout } = await status('--store', 'postgres://u:secret@127.0.0.1:1/db', '--json')
    expect(JSON.parse(stdout)).toMatchObject({ status: 'fail', data: { store: { problem: expect.any(String) } } })
    expect(exit).toBe(3)
  })

  it('says to migrate a database without the schema, with 2', async () => {
    const { url } = await createTestDatabase({ schema: 'empty' })
    expect(await status('--store', url)).toMatchObject({ exit: 2, stdout: expect.stringContaining('evt migrate up') })
  })

  it('doubts a bridge that was silent for a while', async () => {
    const { url, store } = await createTestDatabase()
    const silentFor = async (ms: number) => {
      await store.query('delete from evt.instances')
      await store.query(
        `insert into evt.instances (instance, host, pid, version, roles, leader, started_at, sample, beat_at)
         values ('evt-a', 'here', 1, '0', '{relay}', true, now(), '{"handlers": []}', clock_timestamp() - $1 * interval '1 ms')`,
        [ms],
      )
      return (await status('--store', url)).stdout
    }
    expect(await silentFor(0)).toMatch(/^bridges +evt-a \(0 handlers\)$/m)
    expect(await silentFor(2_100)).toMatch(/^bridges +evt-a \(0 handlers, last sign of life 2[.\d]*s ago\)$/m)
    expect(await silentFor(60_000)).toMatch(/^bridges +none runs$/m)
  })

  it('shows where embedded stores run when none runs here and it cannot choose', { timeout: 60_000 }, async () => {
    const serversDirectory = join(nowhere.path, '.cache/evt/postgres')
    const projects = ['first', "second's"].map((name) => join(nowhere.path, 'work', name))
    for (const project of projects) {
      mkdirSync(join(project, '.git'), { recursive: true })
      const server = await startEmbedded(project, { serversDirectory })
      onTestFinished(() => server.stop())
    }
    const { exit, stdout } = await status()
    expect(exit).toBe(0)
    for (const project of projects) expect(stdout).toMatch(new RegExp(`^runs elsewhere\\s+${project}$`, 'm'))
    expect(stdout).toMatch(new RegExp(`^next\\s+cd ${projects[0]} && evt status$`, 'm'))
    const lag = await runHere(['dlq', 'list'], { cwd: nowhere.path })
    expect(lag).toMatchObject({ exit: 2, stderr: expect.stringContaining(projects.join(' and ')) })
  })
})
