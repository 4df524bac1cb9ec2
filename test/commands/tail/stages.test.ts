import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { enterInbox } from '../../../src/store/inbox.ts'
import { acquireLease } from '../../../src/store/lease.ts'
import { createTestDatabase, type TestDatabase } from '../../setup/database.ts'
import { insertEvent, sequenceAll } from '../../store/sequencer-writers.ts'
import { createNowhere, runHere, start } from '../evt.ts'
import { openGate } from '../gate.ts'

const nowhere = createNowhere()
let database: TestDatabase
let sequence: () => Promise<number>
const today = new Date().toISOString()
beforeAll(async () => {
  database = await createTestDatabase({ max: 3 })
  const lease = await acquireLease(database.store, 'test', 600_000)
  sequence = () => sequenceAll(database.store, lease?.epoch ?? 0n)
  for (const handler of ['icons.first', 'icons.last'])
    await database.store.query('select evt.ensure_group($1, 1, 0)', [handler])
})
afterAll(async () => {
  nowhere.dispose()
  await database[Symbol.asyncDispose]()
})

let count = 0
/** Its type is `<name>.happened`, so that each test follows its own. */
async function write(name: string) {
  await insertEvent(database.store.pool as never, name, ++count, { type: `${name}.happened`, time: today })
  return `${name}#${count}`
}
const handle = (handler: string, id: string) =>
  database.store.transaction((sql) => enterInbox(sql, handler, [{ eventId: id, day: today.slice(0, 10) }]))
const evt = (...words: string[]) => runHere(words, { store: database.url, cwd: nowhere.path })
const history = (name: string, ...more: string[]) =>
  evt('tail', `${name}.*`, '--since', 'start', '--no-follow', '--stages', ...more)
const stagesOf = async (name: string) => JSON.parse((await history(name, '-o', 'ndjson')).stdout).evt.stages

describe('tail --stages', () => {
  it('shows as unknown what nobody measured, and says why', async () => {
    await write('lonely')
    const { stdout, stderr } = await history('lonely')
    expect(stdout).toMatch(/ {2}relay \? deliver \? handle \? {2}\{"n":1\}\n$/)
    expect(stderr).toMatch(/stages: relay is written → sequenced, .*track_commit_timestamp is off/)
    expect(await stagesOf('lonely')).toEqual({ relayMs: null, handlers: [] })
  })

  it('shows the hops up to the last handler, and every handler as NDJSON', async () => {
    const id = await write('handled')
    await sequence()
    await handle('icons.first', id)
    await handle('icons.last', id)
    const { stdout } = await history('handled')
    expect(stdout).toMatch(
      / {2}\+[\d.]+[mu]?s relay \+[\d.]+[mu]?s deliver handle \? \(icons\.last, the last of 2\) {2}/,
    )
    const { relayMs, handlers } = await stagesOf('handled')
    expect(relayMs).toBeGreaterThan(0)
    expect(handlers).toEqual([
      { handler: 'icons.first', deliverMs: expect.any(Number), handleMs: null },
      { handler: 'icons.last', deliverMs: expect.any(Number), handleMs: null },
    ])
    expect(handlers[1].deliverMs).toBeGreaterThan(handlers[0].deliverMs)
    expect((await history('handled', '--fields', 'type,evt.stages.relayMs')).stdout).toBe(
      `handled.happened\t${relayMs}\n`,
    )
  })

  it('waits, while following, for what handlers do, and keeps the limit and the order', async () => {
    const running = start(['tail', 'followed.*', '--stages', '--limit', '2'], {
      store: database.url,
      cwd: nowhere.path,
    })
    await running.said(/: committed events/)
    const ids = [await write('followed'), await write('followed'), await write('followed')]
    await sequence()
    for (const id of ids) await handle('icons.first', id)
    const { exit, stdout } = await running.ended
    expect(exit).toBe(0)
    expect(stdout.match(/followed\/?#?\S*/g)).toHaveLength(4)
    expect(stdout.match(/\+\S+ relay \+\S+ deliver handle \? \(icons\.first\)/g)).toHaveLength(2)
  })

  it('shows at once on Ctrl-C what it was waiting with', async () => {
    const running = start(['tail', 'pressed.*', '--stages', '-v'], { store: database.url, cwd: nowhere.path })
    await running.said(/: committed events/)
    await write('pressed')
    await sequence()
    const sessions = `select from pg_stat_activity where datname = current_database() and application_name = 'evt stages'
      and query like '%evt.inbox%'`
    for (let asked = 0; asked === 0; ) asked = (await database.store.query(sessions)).rows.length
    running.signal('SIGINT')
    expect(await running.ended).toMatchObject({ exit: 0, stdout: expect.stringMatching(/relay deliver \?/) })
  })

  it('goes on through an outage of the store', async () => {
    const server = await openGate(database.url)
    const running = start(['tail', 'outage.*', '--stages'], { store: server.url, cwd: nowhere.path })
    await running.said(/: committed events/)
    await server.shut()
    await running.said(/trying again until it is back/)
    await write('outage')
    await sequence()
    await server.open()
    await running.said(/relay deliver \?/)
    running.signal('SIGINT')
    expect(await running.ended).toMatchObject({ exit: 0 })
  })

  it('shows ? for what a source without measurements sends', async () => {
    const channel = `${database.url}?channel=stage_events`
    const running = start(['tail', '--stages', '--source', channel], { cwd: nowhere.path })
    await running.said(/stages: what the headers of relayed events say; handlers are not known there/)
    const notify = `select pg_notify('stage_events', '{"event_type":"user.noted","user_data":{}}')`
    const notifying = setInterval(() => void database.store.query(notify), 50)
    await running.said(/user\.noted/)
    clearInterval(notifying)
    running.signal('SIGINT')
    expect((await running.ended).stdout).toMatch(/ {2}relay \? sink \? deliver \? handle \? {2}/)
  })
})
