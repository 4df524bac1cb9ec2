import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { handlingOf } from '../../src/config/handling.ts'
import { loadConfig } from '../../src/config/load.ts'

const of = async (env: Readonly<Record<string, string>>, file?: string) => {
  const cwd = mkdtempSync(join(tmpdir(), 'evt-handling-'))
  onTestFinished(() => rmSync(cwd, { recursive: true, force: true }))
  if (file !== undefined) writeFileSync(join(cwd, 'evt.config.yaml'), file)
  return handlingOf(await loadConfig({ cwd, env, flags: {} }))
}

it('limits of all handlers come from variables and from a file; without any there are none', async () => {
  expect(await of({})).toMatchObject({ maxConcurrentHandlers: undefined, watchdog: undefined })
  const env = { EVT_MAX_CONCURRENT_HANDLERS: '10', EVT_WATCHDOG: '90' }
  expect(await of(env)).toMatchObject({ maxConcurrentHandlers: 10, watchdog: '1m30s' })
  const file = 'maxConcurrentHandlers: 7\nwatchdog: 2m\n'
  expect(await of({}, file)).toMatchObject({ maxConcurrentHandlers: 7, watchdog: '2m' })
  expect(await of({ EVT_WATCHDOG: 'off' }, file)).toMatchObject({ maxConcurrentHandlers: 7, watchdog: undefined })
})

it.each([
  [{ EVT_MAX_CONCURRENT_HANDLERS: '0' }, 'it must be at least 1'],
  [{ EVT_WATCHDOG: '50ms' }, 'a watchdog waits for 200ms at least'],
  [{ EVT_WATCHDOG: 'soon' }, 'cannot use EVT_WATCHDOG'],
])('refuses %j', async (env, reason) => {
  await expect(of(env as Record<string, string>)).rejects.toThrow(reason)
})
