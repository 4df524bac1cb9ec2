import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, it, onTestFinished, vi } from 'vitest'
import { findServers, findStartable, startFrom } from './find-servers.ts'
import { ownDirectories, removeServer } from './server-directory.ts'
import { remedy } from './server-names.ts'
import setup from './servers.ts'

afterEach(() => {
  vi.unstubAllEnvs()
  vi.restoreAllMocks()
})

/** A PATH with nothing but these programs; each notes how it was called in `calls`. */
function onlyPrograms(...names: readonly string[]): { calls(): string[] } {
  const folder = mkdtempSync(join(tmpdir(), 'evt-path-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const log = join(folder, 'calls')
  for (const name of names) {
    writeFileSync(join(folder, name), `#!/bin/sh\necho "${name} $* port=$EVT_REDIS_PORT" >> ${log}\n`, { mode: 0o755 })
  }
  vi.stubEnv('PATH', folder)
  vi.stubEnv('CI', 'false')
  vi.stubEnv('EVT_TEST_REDIS_URL', '')
  return { calls: () => (existsSync(log) ? readFileSync(log, 'utf8').split('\n').filter(Boolean) : []) }
}

it('a server that the environment names comes first, and is not looked for', () => {
  onlyPrograms()
  vi.stubEnv('EVT_TEST_REDIS_URL', 'redis://elsewhere')
  expect([...findServers(['redis'])]).toEqual([['redis', 'environment']])
  // Who wants to start one does not ask.
  expect([...findStartable(['redis'])]).toEqual([])
})

it('the programs of the machine come before Docker', () => {
  const { calls } = onlyPrograms('redis-server', 'docker')
  expect([...findServers(['redis'])]).toEqual([['redis', 'machine']])
  expect(calls()).toEqual([])
})

it('Docker comes last: a container on a port of its own, which is removed with its data', async () => {
  const { calls } = onlyPrograms('docker')
  expect([...findServers(['redis'])]).toEqual([['redis', 'docker']])
  const { url, directory } = await startFrom('docker', 'redis')
  const port = new URL(url).port
  const up = calls().find((call) => call.includes(' up '))
  expect(up).toMatch(/^docker compose -f \S+compose\.yaml -p (evt-test-\S+) up -d --wait redis port=/)
  expect(up).toContain(`port=${port}`)
  const project = / -p (\S+) /.exec(up ?? '')?.[1]
  await removeServer(directory)
  expect(calls().at(-1)).toContain(`docker compose -p ${project} down --volumes`)
  expect(existsSync(directory)).toBe(false)
})

it('what is nowhere is not found, and the remedy is one command', () => {
  onlyPrograms('apt-get')
  expect([...findServers(['redis'])]).toEqual([])
  expect(remedy('redis')).toMatch(/^(sudo )?apt-get install -y redis-server$/)
  expect(remedy('kafka')).toMatch(/apt-get install -y default-jre-headless maven$/)
  onlyPrograms()
  expect(remedy('redis')).toContain('EVT_TEST_REDIS_URL')
})

it('nobody but a machine of CI gets packages installed', () => {
  const { calls } = onlyPrograms('apt-get')
  findServers(['redis'])
  expect(calls()).toEqual([])
})

/** Does what vitest does before a run, and hands back what the tests would be told. */
async function openRun() {
  const told: Record<string, unknown> = {}
  const close = await setup({
    provide: (key: string, value: unknown) => Object.assign(told, { [key]: value }),
  } as never)
  return { servers: told.servers as { door: string; available: string[]; startable: string[] }, close }
}

it('a run starts no server until a test asks for one', async () => {
  onlyPrograms('redis-server')
  vi.stubEnv('EVT_TEST_KAFKA_URL', 'kafka://elsewhere')
  vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const before = ownDirectories()
  const { servers, close } = await openRun()
  try {
    expect(servers.available).toEqual(expect.arrayContaining(['redis', 'kafka']))
    // The one that the environment names is not ours to kill.
    expect(servers.startable).toContain('redis')
    expect(servers.startable).not.toContain('kafka')
    expect(ownDirectories()).toEqual(before)
    expect(await (await fetch(`${servers.door}/kafka`)).text()).toBe('kafka://elsewhere')
    expect((await fetch(`${servers.door}/mysql`)).status).toBe(404)
    const failed = await fetch(`${servers.door}/redis`)
    // The program here is not Redis: its end is told, not waited for.
    expect([failed.status, await failed.text()]).toEqual([500, expect.stringContaining('Redis ended')])
  } finally {
    await close()
  }
})

it('a run says of a missing server what to type', async () => {
  onlyPrograms('apt-get')
  const said = vi.spyOn(process.stderr, 'write').mockReturnValue(true)
  const { close } = await openRun()
  await close()
  const text = said.mock.calls.map(([line]) => String(line)).join('')
  expect(text).toMatch(
    /SKIPPED: Redis is missing: its tests are skipped. To run them: (sudo )?apt-get install -y redis-server/,
  )
})

it('in CI a missing server fails the run', async () => {
  onlyPrograms()
  vi.stubEnv('CI', 'true')
  await expect(openRun()).rejects.toThrow('is missing')
})
