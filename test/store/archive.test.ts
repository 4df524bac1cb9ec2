import { spawn } from 'node:child_process'
import { once } from 'node:events'
import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { expect, onTestFinished, test } from 'vitest'
import { checksumOf } from '../../src/core/checksum.ts'
import { decodeAny } from '../../src/core/codec.ts'
import { readManifest } from '../../src/store/archive.ts'
import type { Store } from '../../src/store/connection.ts'
import { acquireLease, type Lease } from '../../src/store/lease.ts'
import { createLogReader } from '../../src/store/log.ts'
import { maintainPartitions } from '../../src/store/partitions.ts'
import { restoreArchive } from '../../src/store/restore.ts'
import { createTestDatabase, describeServers } from '../setup/database.ts'
import { until } from '../setup/until.ts'
import { insertEvent, sequenceAll } from './sequencer-writers.ts'

const daysOn = (days: number) => new Date(Date.now() + days * 86_400_000)
const today = () => new Date().toISOString().slice(0, 10)
const leafOfToday = () => `outbox_default_${today().replaceAll('-', '')}`

function ownDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'evt-archive-'))
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }))
  return directory
}

const linesOf = (file: string) => zstdDecompressSync(readFileSync(file)).toString().trimEnd().split('\n')

describeServers('archives', (server) => {
  async function storeWith(count: number): Promise<{ store: Store; url: string; lease: Lease }> {
    const { store, url } = await createTestDatabase({ server })
    const lease = (await acquireLease(store, 'test', 60_000)) as Lease
    for (let n = 1; n <= count; n += 1) await insertEvent(store.pool as never, 'a', n)
    await sequenceAll(store, lease.epoch)
    return { store, url, lease }
  }

  test('hold each event with its bytes, and say what they hold', async () => {
    const { store, lease } = await storeWith(1)
    const odd = '{"b": 1.00,\n "a" : "x\\n,\\"evt\\":{", "b":2}'
    const fields = {
      tenant: 't',
      metadata: '{"a":"b","data":1}',
      sequence: '9007199254740993',
      data: odd,
      event_key: '\\x00ff',
    }
    await insertEvent(store.pool as never, 'ü "q",', 2, fields)
    await insertEvent(store.pool as never, 'a', 3, { event_key: '\\x00ff', data: odd })
    await sequenceAll(store, lease.epoch)
    const archive = ownDirectory()
    const done = await maintainPartitions(store, { now: daysOn(40), archive })
    expect(done).toMatchObject({ problem: undefined })
    expect(done.dropped).toContain(leafOfToday())
    const file = join(archive, `default-${today()}.ndjson.zst`)
    const lines = linesOf(file)
    expect(lines).toHaveLength(2)
    expect(lines[1]).toContain(`,"data":${odd.replace('\n', ' ')},"evt":`)
    expect(JSON.parse(lines[1] as string)).toMatchObject({
      specversion: '1.0',
      type: 'thing.happened',
      evt: { position: '2', text: odd, row: { sequence: '9007199254740993', class: 'default', event_key: '\\x00ff' } },
    })
    expect(decodeAny(Buffer.from(lines[1] as string)).event).toMatchObject({
      tenant: 't',
      metadata: { a: 'b', data: 1 },
    })
    const manifest = JSON.parse(readFileSync(join(archive, `default-${today()}.json`), 'utf8'))
    const sha256 = checksumOf(readFileSync(file))
    expect(manifest).toMatchObject({
      schema: 'evt-archive/1',
      class: 'default',
      day: today(),
      events: 2,
      duplicates: 1,
      sha256,
      firstPosition: '1',
      lastPosition: '2',
    })
  })

  test('are made of what may go only', async () => {
    const { store } = await storeWith(2)
    await store.query(`select evt.ensure_group('slow', 4, 1)`)
    const archive = ownDirectory()
    const { retained, archived } = await maintainPartitions(store, { now: daysOn(40), archive })
    expect(retained.find(({ table }) => table === leafOfToday())?.reason).toBe('group slow still needs it')
    expect(archived.map(({ day }) => day)).not.toContain(today())
    expect(readdirSync(archive)).not.toContain(`default-${today()}.json`)
  })

  test('that cannot be written mean that nothing is dropped', async () => {
    const { store } = await storeWith(2)
    const archive = join(ownDirectory(), 'file')
    writeFileSync(archive, '')
    const done = await maintainPartitions(store, { now: daysOn(40), archive })
    expect(done.dropped, 'in yesterday’s there is nothing').not.toContain(leafOfToday())
    expect(done.problem).toMatchObject({ code: 'partial', message: expect.stringContaining('EEXIST') })
    expect(done.retained.find(({ table }) => table === leafOfToday())?.reason).toMatch(
      /^it is not archived: cannot archive/,
    )
  })

  test('of another store of the same directory are left alone', async () => {
    const [one, other] = [await storeWith(1), await storeWith(2)]
    const archive = ownDirectory()
    await maintainPartitions(one.store, { now: daysOn(40), archive })
    const before = readFileSync(join(archive, `default-${today()}.json`), 'utf8')
    const done = await maintainPartitions(other.store, { now: daysOn(40), archive })
    expect(done.problem).toMatchObject({ code: 'refused', message: expect.stringContaining('did not write') })
    expect(readFileSync(join(archive, `default-${today()}.json`), 'utf8')).toBe(before)
  })

  test('are made once when two processes do it together', async () => {
    const { store } = await storeWith(3)
    const archive = ownDirectory()
    const rounds = await Promise.all(
      [1, 2, 3].map(() => maintainPartitions(store, { now: daysOn(40), archive, lockTimeoutMs: 5_000 })),
    )
    rounds.push(await maintainPartitions(store, { now: daysOn(40), archive }))
    expect(rounds.map(({ problem }) => problem)).toEqual([undefined, undefined, undefined, undefined])
    expect(
      rounds
        .flatMap(({ archived }) => archived)
        .filter(({ day }) => day === today())
        .filter((one) => one.class === 'default'),
    ).toHaveLength(1)
    expect(rounds.flatMap(({ dropped }) => dropped)).toContain(leafOfToday())
    expect(readdirSync(archive).filter((name) => name.endsWith('.partial'))).toEqual([])
  })

  test('that miss what was committed late are made again', async () => {
    const { store, lease } = await storeWith(1)
    const archive = ownDirectory()
    const late = await store.pool.connect()
    await late.query('begin')
    await insertEvent(late, 'late', 1)
    const held = await maintainPartitions(store, { now: daysOn(40), archive, lockTimeoutMs: 50 })
    expect(held.dropped).not.toContain(leafOfToday())
    expect(linesOf(join(archive, `default-${today()}.ndjson.zst`))).toHaveLength(1)
    await late.query('commit')
    late.release()
    const unsequenced = await maintainPartitions(store, { now: daysOn(40), archive })
    expect(unsequenced.retained.find(({ table }) => table === leafOfToday())?.reason).toContain('not sequenced')
    await sequenceAll(store, lease.epoch)
    expect((await maintainPartitions(store, { now: daysOn(40), archive })).dropped).toContain(leafOfToday())
    expect(linesOf(join(archive, `default-${today()}.ndjson.zst`))).toHaveLength(2)
  })

  const readAll = async (store: Store) => {
    const reader = createLogReader(store)
    try {
      return await reader.read(0n, 100)
    } finally {
      await reader.close()
    }
  }

  test('come back as what they were: at their positions, byte for byte, and nothing is sequenced or handled anew', async () => {
    const { store, lease } = await storeWith(2)
    const odd = '{"b": 1.00,\n "a" : 2}'
    await insertEvent(store.pool as never, 'ü', 3, {
      tenant: 't',
      metadata: '{"a":"b"}',
      data: odd,
      event_key: '\\x00ff',
    })
    await insertEvent(store.pool as never, 'kept', 4, { class: 'audit' })
    await sequenceAll(store, lease.epoch)
    await store.query(`select evt.ensure_group('done', 4, 4)`)
    const before = await readAll(store)
    const rows = () => store.query(`select o::text as row from evt.${leafOfToday()} o order by seq`)
    const { rows: rowsBefore } = await rows()
    const archive = ownDirectory()
    await maintainPartitions(store, { now: daysOn(40), archive })
    expect((await readAll(store)).map(({ position }) => position)).toEqual([4n])
    const file = join(archive, `default-${today()}.ndjson.zst`)
    const done = await Promise.all([1, 2].map(() => restoreArchive(store, file, { keepDays: 7 })))
    expect(done.map(({ events }) => events).sort()).toEqual([0, 3])
    expect(await readAll(store)).toEqual(before)
    expect((await rows()).rows).toEqual(rowsBefore)
    await store.query('select evt.look_everywhere()')
    expect(await sequenceAll(store, lease.epoch)).toBe(0)
    expect((await maintainPartitions(store, { now: daysOn(7), archive })).dropped).not.toContain(leafOfToday())
    const later = await maintainPartitions(store, { now: daysOn(41), archive })
    expect(later.dropped).toContain(leafOfToday())
    expect(later.archived.map((one) => one.file)).not.toContain(file)
    expect((await restoreArchive(store, file, { keepDays: 7 })).events).toBe(3)
  })

  test('come back also where their part of the log is gone', async () => {
    const { store, lease } = await storeWith(3)
    const archive = ownDirectory()
    await maintainPartitions(store, { now: daysOn(40), archive })
    // As after five million more.
    await store.query('alter table evt.log detach partition evt.log_00000000; drop table evt.log_00000000')
    await store.query('select evt.make_log_chunk(1)')
    await store.query(`insert into evt.ticks select tick + 1, epoch, at, 4999999, snapshot, next_snapshot, after_seq, near_day,
      near_leaves, far_snapshot, far_at, duplicates, refused from evt.ticks order by tick desc limit 1`)
    await insertEvent(store.pool as never, 'a', 4, { class: 'audit' })
    await sequenceAll(store, lease.epoch)
    expect((await readAll(store)).map(({ position }) => position)).toEqual([5_000_000n])
    await restoreArchive(store, join(archive, `default-${today()}.ndjson.zst`), { keepDays: 7 })
    const reader = createLogReader(store)
    const first = await reader.read(0n, 2)
    expect(first.map(({ position }) => position)).toEqual([1n, 2n])
    expect((await reader.read(2n, 10)).map(({ position }) => position)).toEqual([3n])
    expect((await reader.read(3n, 10)).map(({ position }) => position)).toEqual([5_000_000n])
    expect(await reader.positionAt(first[0]?.sequencedMs ?? 0)).toBe(0n)
    expect(await reader.positionAt(Date.now() + 60_000)).toBe(5_000_000n)
    await reader.close()
    expect((await maintainPartitions(store, { now: daysOn(48) })).dropped).toContain(leafOfToday())
  })

  test('that are damaged are refused with the line, and nothing comes back', async () => {
    const { store, lease } = await storeWith(0)
    for (const n of [1, 2, 3, 4, 5]) await store.query(`select evt.publish('a', $1::json)`, [`{"n":${n}}`])
    await sequenceAll(store, lease.epoch)
    const archive = ownDirectory()
    await maintainPartitions(store, { now: daysOn(40), archive })
    const file = join(archive, `default-${today()}.ndjson.zst`)
    const whole = readFileSync(file)
    const lines = linesOf(file)
    const changed = (at: number, by: (line: string) => string) =>
      zstdCompressSync(`${lines.map((line, i) => (i === at ? by(line) : line)).join('\n')}\n`)
    const damages: readonly (readonly [Buffer, RegExp])[] = [
      [whole.subarray(0, whole.length - 20), /line \d: /],
      [
        changed(2, (line) => line.replace('{"n":3}', '{"n":2}')),
        /line 3: the data of event \S+ is not what was archived/,
      ],
      [changed(1, () => 'x'), /line 2: /],
      [changed(4, (line) => line.slice(0, 40)), /line 5: /],
      [zstdCompressSync(`${lines.slice(0, 4).join('\n')}\n`), /line 5: its checksum is not/],
    ]
    for (const [bytes, message] of damages) {
      writeFileSync(file, bytes)
      await expect(restoreArchive(store, file, { keepDays: 7 })).rejects.toMatchObject({
        code: 'checksum',
        message: expect.stringMatching(message),
        hint: expect.stringContaining('nothing was restored'),
      })
    }
    expect(await readAll(store)).toEqual([])
    writeFileSync(file, whole)
    expect((await restoreArchive(store, file, { keepDays: 7 })).events).toBe(5)
    const other = await storeWith(1)
    await expect(restoreArchive(other.store, file, { keepDays: 7 })).rejects.toMatchObject({ code: 'refused' })
    await expect(restoreArchive(store, join(archive, 'nothing.ndjson.zst'), { keepDays: 7 })).rejects.toMatchObject({
      code: 'usage',
    })
  })

  test('wait for room on a full disk, and nothing is dropped meanwhile', async () => {
    const { store } = await storeWith(3)
    const archive = ownDirectory()
    const file = join(archive, `default-${today()}.ndjson.zst`)
    symlinkSync('/dev/full', `${file}.partial`)
    const full = await maintainPartitions(store, { now: daysOn(40), archive })
    expect(full.problem).toMatchObject({ code: 'partial', message: expect.stringContaining('ENOSPC') })
    expect(full.dropped).not.toContain(leafOfToday())
    expect(readdirSync(archive)).toEqual([])
    expect((await maintainPartitions(store, { now: daysOn(40), archive })).dropped).toContain(leafOfToday())
    expect(linesOf(file)).toHaveLength(3)
  })

  test('of a process that is killed in the middle are whole or not valid, and the next one makes them', async () => {
    const { store, url, lease } = await storeWith(0)
    await store.query(
      `select evt.publish('a.b', json_build_object('n', n, 'text', md5(n::text))) from generate_series(1, 3000) n`,
    )
    await sequenceAll(store, lease.epoch, 5_000)
    const archive = join(ownDirectory(), 'archive')
    const file = join(archive, `default-${today()}.ndjson.zst`)
    const seen = { whole: 0, partial: 0 }
    for (let round = 0; round < 6; round += 1) {
      const child = spawn(process.execPath, [join(import.meta.dirname, '../faults/archiving.ts'), url, archive])
      const begun = () => existsSync(`${file}.partial`)
      await until(begun, { withinMs: 20_000 })
      const waited = performance.now() + round * 8
      await until(() => performance.now() > waited)
      child.kill('SIGKILL')
      await once(child, 'exit')
      if (existsSync(`${file}.partial`)) seen.partial += 1
      if (!existsSync(file.replace('.ndjson.zst', '.json'))) continue
      seen.whole += 1
      expect(await readManifest(file)).toMatchObject({ events: 3_000, sha256: checksumOf(readFileSync(file)) })
    }
    expect(seen.partial + seen.whole).toBeGreaterThan(0)
    rmSync(archive, { recursive: true, force: true })
    mkdirSync(archive)
    writeFileSync(`${file}.partial`, 'half')
    writeFileSync(file, 'without a manifest')
    // The killed one's transaction may still be on its way out of the server.
    const last = await until(async () => {
      const done = await maintainPartitions(store, { now: daysOn(40), archive })
      return done.dropped.includes(leafOfToday()) ? done : undefined
    })
    expect(last.problem).toBeUndefined()
    expect(linesOf(file)).toHaveLength(3_000)
    expect(readdirSync(archive).sort()).toEqual([`default-${today()}.json`, `default-${today()}.ndjson.zst`])
  })
})
