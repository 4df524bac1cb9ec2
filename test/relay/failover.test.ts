import { execFileSync } from 'node:child_process'
import { chownSync, renameSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it, onTestFinished } from 'vitest'
import { type Bridge, createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/handle/define-handler.ts'
import { openStore, type Store } from '../../src/store/connection.ts'
import { checkIdentity, readIdentities } from '../../src/store/identity.ts'
import { migrateUp } from '../../src/store/migrate.ts'
import { planRebase, rebase } from '../../src/store/rebase.ts'
import { readUnsequenced } from '../../src/store/sequencer.ts'
import { type PrivateServer, startPrivateServer } from '../setup/private-server.ts'
import { canStart } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'

const publish = (store: Store, id: string) => store.query(`select evt.publish('thing.done', '{}', 's', id => $1)`, [id])

async function open(server: PrivateServer): Promise<Store> {
  const store = await openStore(server.url, { applicationName: 'evt test' })
  onTestFinished(() => store.close())
  return store
}

/** As it is now: what a replica has that will receive nothing more. */
async function copyWhileStopped(server: PrivateServer): Promise<string> {
  const data = join(server.directory, 'data')
  await server.kill('SIGINT')
  // `cp` keeps owners and rights, which PostgreSQL insists on.
  execFileSync('cp', ['-a', data, `${data}.replica`])
  await server.restart()
  return `${data}.replica`
}

/** The primary is gone, and the replica answers at its address: a standby until somebody promotes it. */
async function failOver(server: PrivateServer, replica: string): Promise<void> {
  const data = join(server.directory, 'data')
  await server.kill('SIGKILL')
  renameSync(data, `${data}.lost`)
  renameSync(replica, data)
  writeFileSync(join(data, 'standby.signal'), '')
  const { uid, gid } = statSync(data)
  chownSync(join(data, 'standby.signal'), uid, gid)
  await server.restart()
}

function runBridge(server: PrivateServer, handled: string[], said: string[]): Bridge {
  const say = (message: string, fields?: object) => void said.push(`${message} ${JSON.stringify(fields ?? {})}`)
  const handler = defineHandler({
    name: 'test.all',
    on: ['thing.*'],
    start: 'earliest',
    handle: async (event) => void handled.push(event.id),
  })
  const bridge = createBridge({
    store: server.url,
    handlers: [handler],
    registry: createRegistry([]),
    log: { debug() {}, info() {}, warn: say, error: say },
  })
  onTestFinished(() => bridge.stop())
  return bridge
}

it.skipIf(!canStart('postgres-18'))(
  'a replica that lacks the last commits takes over: writers go on, evt stops and says why, and goes on behind a rebase with nothing left out',
  { timeout: 60_000 },
  async () => {
    const server = await startPrivateServer({ version: 18 })
    onTestFinished(() => server.stop())
    await migrateUp(server.url)
    const said: string[] = []
    const handled: string[] = []
    const primary = await open(server)
    const bridge = runBridge(server, handled, said)
    await bridge.start()
    await publish(primary, 'both')
    await until(() => handled.includes('both'))
    const replica = await copyWhileStopped(server)
    await until(() => publish(primary, 'lost').then(Boolean, () => false), { withinMs: 10_000 })
    await until(() => handled.includes('lost'), { withinMs: 10_000 })

    await failOver(server, replica)
    const survivor = await open(server)
    await expect(publish(survivor, 'too early')).rejects.toMatchObject({ code: 'unsupported' })
    await survivor.query('select pg_promote()')
    const ids = ['kept-1', 'kept-2']
    for (const id of ids) await publish(survivor, id)
    await until(() => said.some((line) => line.includes('the cursor belongs to cluster')), { withinMs: 20_000 })
    const { cursor, here } = await readIdentities(survivor)
    expect(here).toEqual({ ...cursor, timeline: String(Number(cursor.timeline) + 1) })
    expect((await survivor.query('select evt.head()::int as head')).rows).toEqual([{ head: 1 }])

    expect((await readUnsequenced(survivor, 10)).events).toBe(ids.length)
    expect(handled.filter((id) => ids.includes(id))).toEqual([])

    // The bridge lives and had read what is lost: its lanes have to forget that.
    await until(() => said.some((line) => line.includes('the log ends at 1, and was read up to 2')))
    const lanes = async () =>
      (await survivor.query('select max(position)::int as most, min(epoch)::int as epoch from evt.lanes')).rows[0]
    expect((await lanes())?.most).toBeLessThanOrEqual(1)
    expect(await planRebase(survivor)).toEqual({ head: 1n, unplaced: 2, first: ids, bodiless: 0, ahead: [] })
    expect(await rebase(survivor, 1_000_000n)).toBe(1_000_000n)
    await until(() => handled.includes('kept-2'), { withinMs: 20_000 })
    expect(handled.slice(handled.indexOf('lost') + 1).filter((id) => id !== 'both')).toEqual(ids)
    const { rows } = await survivor.query('select position::int from evt.log order by 1')
    expect(rows.map(({ position }) => position)).toEqual([1, 1_000_001, 1_000_002])
    await until(async () => (await lanes())?.most === 1_000_002)
    await checkIdentity(survivor)
  },
)
