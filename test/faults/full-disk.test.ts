import { execFileSync } from 'node:child_process'
import { closeSync, mkdirSync, openSync, renameSync, rmSync, statSync, symlinkSync, writeSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { createBridge } from '../../src/bridge.ts'
import { createRegistry } from '../../src/core/registry.ts'
import { defineHandler } from '../../src/index.ts'
import { openStore, type Store } from '../../src/store/connection.ts'
import { migrateUp } from '../../src/store/migrate.ts'
import { type PrivateServer, startPrivateServer } from '../setup/private-server.ts'
import { makeServerDirectory } from '../setup/server-directory.ts'
import { canStart } from '../setup/shared-servers.ts'
import { until } from '../setup/until.ts'

const sizeMiB = 72

/** A disk of its own that the server's user may write to. Throws where this user may not mount. */
function mountSmall(directory: string, owner: { readonly uid: number; readonly gid: number }): void {
  mkdirSync(directory)
  const options = `size=${sizeMiB}m,uid=${owner.uid},gid=${owner.gid},mode=0700`
  execFileSync('mount', ['-t', 'tmpfs', '-o', options, 'evt-test', directory], { stdio: 'ignore' })
}

const unmount = (directory: string) => execFileSync('umount', ['-l', directory], { stdio: 'ignore' })

function canMount(): boolean {
  const parent = makeServerDirectory()
  try {
    mountSmall(join(parent, 'tried'), { uid: 0, gid: 0 })
    unmount(join(parent, 'tried'))
    return true
  } catch {
    // Not root, or a container that forbids it.
    return false
  } finally {
    rmSync(parent, { recursive: true, force: true })
  }
}

/** Takes what is left of the disk; returns how to give it back. */
function fill(disk: string): () => void {
  const path = join(disk, 'filler')
  const file = openSync(path, 'w')
  let size = 1 << 20
  while (size >= 4096) {
    try {
      writeSync(file, Buffer.alloc(size))
    } catch {
      size /= 2
    }
  }
  closeSync(file)
  return () => rmSync(path)
}

const where = {
  /** The database lies on the small disk: what needs more room fails, the server lives. */
  'its tables': async (server: PrivateServer, disk: string): Promise<string> => {
    const admin = await openStore(server.url, { applicationName: 'evt test' })
    await admin.query(`create tablespace small location '${disk}'`)
    await admin.query('create database small tablespace small')
    await admin.close()
    const url = new URL(server.url)
    url.pathname = '/small'
    return url.href
  },
  /** The write-ahead log does: the server panics, and cannot come back before there is room. */
  'its write-ahead log': async (server: PrivateServer, disk: string): Promise<string> => {
    const wal = join(server.directory, 'data', 'pg_wal')
    await server.kill('SIGINT')
    execFileSync('cp', ['-a', wal, join(disk, 'pg_wal')])
    renameSync(wal, `${wal}.before`)
    symlinkSync(join(disk, 'pg_wal'), wal)
    await server.restart()
    return server.url
  },
}

async function publish(store: Store, id: string): Promise<boolean> {
  try {
    await store.query(`select evt.publish('thing.done', to_json($1::text), 's', id => $2)`, [text(), id])
    return true
  } catch {
    return false
  }
}

/** Nothing that compresses. */
const text = () => Buffer.from(crypto.getRandomValues(new Uint8Array(60_000))).toString('base64')

describe.skipIf(!canStart('postgres-18') || !canMount())('a PostgreSQL whose disk is full', () => {
  it.each(Object.entries(where))(
    'under %s: what was confirmed is handled once, and all goes on when there is room',
    { timeout: 120_000 },
    async (what, put) => {
      const server = await startPrivateServer({ version: 18 })
      const disk = join(server.directory, 'small')
      mountSmall(disk, statSync(join(server.directory, 'data')))
      onTestFinished(async () => {
        await server.kill('SIGKILL').catch(() => {})
        unmount(disk)
        await server.stop()
      })
      const url = await put(server, disk)
      await migrateUp(url)
      const store = await openStore(url, { applicationName: 'evt test' })
      onTestFinished(() => store.close())
      await store.query('create table effects (id text)')
      const handler = defineHandler({
        name: 'test.all',
        on: ['*'],
        start: 'earliest',
        async handle(event, ctx) {
          await ctx.sql`insert into effects values (${event.id})`
        },
      })
      const bridge = createBridge({ store: url, handlers: [handler], registry: createRegistry([]) })
      onTestFinished(() => bridge.stop())
      await bridge.start()
      const confirmed: string[] = []
      const unknown: string[] = []
      const write = async (id: string): Promise<boolean> => {
        const done = await publish(store, id)
        ;(done ? confirmed : unknown).push(id)
        return done
      }
      const effects = async () => (await store.query('select id from effects')).rows.map(({ id }) => String(id))

      expect(await write('before')).toBe(true)
      await until(async () => (await effects()).length === 1)
      const giveBack = fill(disk)
      for (let n = 1; await write(`full-${n}`); n++) expect(n, 'it is never full').toBeLessThan(2_000)
      for (let n = 1; n <= 5; n++) await write(`still-${n}`)
      giveBack()
      if (what === 'its write-ahead log') await server.restart()
      await until(() => write(`after-${unknown.length}`), { withinMs: 20_000 })
      await until(async () => (await effects()).includes(confirmed.at(-1) ?? ''), { withinMs: 30_000 })
      const seen = await effects()
      expect(new Set(seen).size, 'each once').toBe(seen.length)
      expect(confirmed.filter((id) => !seen.includes(id))).toEqual([])
      expect(seen.filter((id) => !confirmed.includes(id) && !unknown.includes(id))).toEqual([])
      expect((await store.query('select from evt.dead_letters')).rows).toEqual([])
    },
  )
})
