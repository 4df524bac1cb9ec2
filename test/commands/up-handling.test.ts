import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { createTestDatabase } from '../setup/database.ts'
import { createNowhere, start } from './evt.ts'

const nowhere = createNowhere()
afterAll(() => nowhere.dispose())

/** Says how many ran at most; the last event never gives back the event loop. */
const config = `
let [now, most, done] = [0, 0, 0]
const handle = async ({ type }, { log }) => {
  if (type === 'thing.ended') {
    log.info('at most ' + most + ' at once')
    for (;;);
  }
  most = Math.max(most, ++now)
  await new Promise((resolve) => setTimeout(resolve, 5))
  now -= 1
  if (++done === 40) log.info('all are handled')
}
const one = { name: 'test.one', on: ['thing.*'], start: 'earliest', transaction: 'none', concurrency: 8, handle }
export default { services: [{ name: 'test', contracts: [], handlers: [one] }], watchdog: '500ms' }
`

it('up limits handlers by EVT_MAX_CONCURRENT_HANDLERS, and its watchdog ends it, by the configuration', async () => {
  const { store, url } = await createTestDatabase()
  writeFileSync(join(nowhere.path, 'evt.config.mjs'), config)
  await store.query(`select evt.publish('thing.made', '{}', 's/' || n) from generate_series(1, 40) n`)
  const running = start(['up'], { store: url, cwd: nowhere.path, env: { EVT_MAX_CONCURRENT_HANDLERS: '2' } })
  await running.said(/all are handled/)
  await store.query(`select evt.publish('thing.ended', '{}', 's/0')`)
  const { exit, stdout, stderr } = await running.ended
  expect(exit).toBe(-1)
  expect(stdout + stderr).toContain('at most 2 at once')
  expect(stderr).toContain('the watchdog ends the process: its event loop has stood still for 500 ms')
})
