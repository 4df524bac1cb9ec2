import { execFile } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { Redis } from 'ioredis'
import { expect, it, onTestFinished } from 'vitest'
import { isRunning } from '../../src/store/embedded/process.ts'
import { describeWithOwn } from './shared-servers.ts'

const script = join(import.meta.dirname, '..', '..', 'scripts', 'services.ts')
const run = promisify(execFile)

function createDesk() {
  const home = mkdtempSync(join(tmpdir(), 'evt-services-'))
  const services = async (...words: readonly string[]): Promise<string> => {
    const { stdout } = await run(process.execPath, [script, ...words], {
      env: { ...process.env, EVT_SERVICES_HOME: home },
    })
    return stdout
  }
  onTestFinished(async () => {
    await services('down')
    rmSync(home, { recursive: true, force: true })
  })
  return services
}

describeWithOwn('redis', 'npm run services', () => {
  it('keeps a server running until it is told to stop it, and starts none twice', async () => {
    const services = createDesk()
    const line = await services('up', 'redis')
    expect(line).toMatch(/^export EVT_TEST_REDIS_URL=redis:\/\/127\.0\.0\.1:\d+\n$/)
    expect(await services('up', 'redis')).toBe(line)
    const url = line.trim().split('=')[1] ?? ''
    const client = new Redis(url)
    expect(await client.ping()).toBe('PONG')
    client.disconnect()

    const status = await services('status')
    const [, pid] = /^Redis: redis:\S+ \(process (\d+)\)$/m.exec(status) ?? []
    expect(status).toContain('Kafka: not running')
    expect(isRunning(Number(pid))).toBe(true)

    expect(await services('down', 'redis')).toBe('Redis: not running\n')
    expect(isRunning(Number(pid))).toBe(false)
  })

  it('lists the names when it is given another one', async () => {
    const services = createDesk()
    await expect(services('up', 'mysql')).rejects.toMatchObject({
      code: 2,
      stderr: expect.stringContaining('redis rabbitmq kafka'),
    })
  })
})
