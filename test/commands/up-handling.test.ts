import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, expect, it } from 'vitest'
import { createTestDatabase } from '../setup/database.ts'
import { until } from '../setup/until.ts'
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

const hanging = `
const handle = async ({ subject }, { sql, log }) => {
  await sql\`insert into effects values (\${subject})\`
  log.info('it is in the handler')
  if (process.env.HANGS) await new Promise(() => {})
}
const one = { name: 'test.one', on: ['thing.*'], start: 'earliest', timeout: '10m', handle }
export default { services: [{ name: 'test', contracts: [], handlers: [one] }] }
`

it('up drains on SIGTERM and ends at once on the second; the event that it was in is handled by the next one', async () => {
  const { store, url } = await createTestDatabase()
  writeFileSync(join(nowhere.path, 'hanging.mjs'), hanging)
  await store.query('create table effects (subject text)')
  await store.query(`select evt.publish('thing.made', '{}', 's/1')`)
  const up = (env = {}) =>
    start(['up', '--config', 'hanging.mjs', '--grace', '5m'], { store: url, cwd: nowhere.path, env })
  const running = up({ HANGS: '1' })
  await running.said(/it is in the handler/)
  running.signal('SIGTERM')
  await running.said(/handlers have 5m to finish/)
  let exit: number | undefined
  void running.ended.then((ran) => {
    exit = ran.exit
  })
  await until(() => exit !== undefined || void running.signal('SIGTERM'), { withinMs: 20_000 })
  expect(exit).toBe(143)
  expect((await store.query('select from effects')).rows).toEqual([])
  const next = up()
  const handled = async () => (await store.query('select subject from effects')).rows
  await until(async () => (await handled()).length > 0, { withinMs: 20_000 })
  next.signal('SIGTERM')
  expect(await next.ended).toMatchObject({ exit: 0 })
  expect(await handled()).toEqual([{ subject: 's/1' }])
})
