import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, describe, expect, it, onTestFinished } from 'vitest'
import { createTestDatabase } from '../setup/database.ts'
import { freeServerPorts } from '../setup/ports.ts'
import { createNowhere, runHere, start } from './evt.ts'

const nowhere = createNowhere()
afterAll(() => nowhere.dispose())

describe('up', () => {
  it.each([
    [['--sink', 'http://x/y'], 'no transport for http'],
    [['--source', 'http://x/y'], 'no transport for http'],
    [['--sink', 'redis://127.0.0.1:1?strem=a'], 'there is no parameter strem'],
    [['--sink', 'kafka://127.0.0.1:1?partitions=none'], 'is no number of partitions'],
    [['--sink', 'memory://a?limit=0'], 'is not a whole number'],
    [['--only', 'handlers', '--sink', 'amqp://127.0.0.1:1?nope=1'], 'it has no parameter nope'],
    [['--sink', 'amqp://127.0.0.1:1', '--sink', 'amqp://127.0.0.1:2'], '--sink name=url'],
    [['--source', 'amqp://127.0.0.1:1', '--source', 'amqp://127.0.0.1:2'], '--source name=url'],
  ])('ends with 2 for %j, before it says that it is up', async (words, reason) => {
    const { url } = await createTestDatabase()
    const ran = await runHere(['up', ...words], { store: url, cwd: nowhere.path })
    expect(ran).toMatchObject({ exit: 2, stderr: expect.stringContaining(reason) })
    expect(ran.stderr).not.toContain('is up')
  })

  it('serves HTTP where it is told to, alone or beside the rest, and says where', async () => {
    const { url } = await createTestDatabase()
    const [port] = await freeServerPorts(1)
    for (const words of [
      ['--only', 'http', '--http', `${port}`],
      ['--http', `127.0.0.1:${port}`],
    ]) {
      const running = start(['up', ...words], { store: url, cwd: nowhere.path })
      try {
        await running.said(new RegExp(`HTTP: http://127\\.0\\.0\\.1:${port};`))
        expect((await fetch(`http://127.0.0.1:${port}/healthz`)).status).toBe(200)
      } finally {
        running.signal('SIGTERM')
      }
      expect(await running.ended).toMatchObject({ exit: 0 })
    }
    const worker = start(['up', '--only', 'handlers', '--http', `${port}`], { store: url, cwd: nowhere.path })
    try {
      await worker.said(new RegExp(`HTTP: http://127\\.0\\.0\\.1:${port};`))
      const of = (path: string) => fetch(`http://127.0.0.1:${port}${path}`)
      expect(await (await of('/metrics')).text()).toContain('evt_store_up 1')
      expect(await (await of('/stats')).json()).toMatchObject({ roles: ['handlers'] })
      expect((await of('/events')).status).toBe(404)
    } finally {
      worker.signal('SIGTERM')
    }
    expect(await worker.ended).toMatchObject({ exit: 0 })
    const open = await runHere(['up', '--http', '0.0.0.0:0'], { store: url, cwd: nowhere.path })
    expect(open).toMatchObject({ exit: 4, stderr: expect.stringContaining('evt token create') })
  })

  it('names the file and the handler of a pattern that cannot be read, before anything connects', async () => {
    const project = createNowhere()
    onTestFinished(project.dispose)
    const handler = `{ name: 'shop.mail', on: ['x..y'], handle: async () => {} }`
    writeFileSync(
      join(project.path, 'evt.config.mjs'),
      `export default { services: [{ name: 'shop', contracts: [], handlers: [${handler}] }] }`,
    )
    const ran = await runHere(['up'], { store: 'postgres://127.0.0.1:1/x', cwd: project.path })
    expect(ran).toMatchObject({ exit: 2 })
    expect(ran.stderr).toMatch(/cannot use .*evt\.config\.mjs: handler "shop\.mail": .*a segment is empty[\s\S]*x\.\.y/)
  })

  it('runs the services that are chosen, and without any of its own says so and leaves no group behind', async () => {
    const project = createNowhere()
    onTestFinished(project.dispose)
    const one = (name: string) =>
      `{ name: '${name}', contracts: [], handlers: [{ name: '${name}.all', on: ['${name}.*'], handle: async () => {} }] }`
    writeFileSync(join(project.path, 'own.mjs'), `export default { services: [${one('shop')}, ${one('mail')}] }`)
    for (const [words, handlers, groups] of [
      [['--config', 'own.mjs', '--services', 'mail'], 1, ['mail.all']],
      [[], 0, []],
    ] as const) {
      const { url, store } = await createTestDatabase()
      const running = start(['up', ...words], { store: url, cwd: project.path })
      await running.said(new RegExp(`${handlers} handlers?`))
      running.signal('SIGTERM')
      const { stderr } = await running.ended
      const names = (await store.query('select name from evt.groups where lanes > 0 order by name')).rows
      expect(names).toEqual(groups.map((name) => ({ name })))
      expect(stderr.includes('no service is configured')).toBe(handlers === 0)
    }
  })

  it('says which topics sinks write to, and that something else answers there, with what to do', async () => {
    const { url } = await createTestDatabase()
    const { host } = new URL(url)
    const sinks = [
      '--sink',
      `redis://${host}`,
      '--sink',
      'named=memory://up-test/people',
      '--sink',
      'away=redis://127.0.0.1:1',
    ]
    const project = createNowhere()
    onTestFinished(project.dispose)
    const types = { name: 'types', url: 'memory://up-test', layout: 'per-type', prefix: 'icons.' }
    writeFileSync(join(project.path, 'evt.config.json'), JSON.stringify({ sinks: [types] }))
    const running = start(['up', '--only', 'relay', ...sinks], { store: url, cwd: project.path })
    try {
      await running.said(/sink types: memory:\S+, layout per-type, a topic for each type after icons\.$/m)
      await running.said(/sink redis: redis:\S+, topic events$/m)
      await running.said(/sink named: memory:\S+, topic people$/m)
      await running.said(/"level":50.*"sink":"redis".*PostgreSQL.*"hint":"check the port"/)
      await running.said(/"level":40.*"sink":"away".*refused/)
    } finally {
      running.signal('SIGTERM')
      await running.ended
    }
  })

  it('says beside a leader that its sinks and sources wait, unless that one has them too', async () => {
    const { url } = await createTestDatabase()
    const up = (...words: string[]) => start(['up', '--only', 'relay', ...words], { store: url, cwd: nowhere.path })
    const shared = ['--sink', 'both=memory://up-both/events']
    const leader = up(...shared)
    const all = [leader]
    try {
      await leader.said(/"leading"/)
      const standby = up(...shared, '--sink', 'mine=memory://up-mine/events', '--source', `in=${url}?channel=chat`)
      all.push(standby)
      await standby.said(
        /"waits":"sink mine, source in","hint":"give the leader the same configuration".*evt-\w+ leads and carries its own/,
      )
    } finally {
      for (const one of all) one.signal('SIGTERM')
      const ended = await Promise.all(all.map((one) => one.ended))
      expect(ended[1]?.stderr).not.toContain('sink both,')
    }
  })
})
