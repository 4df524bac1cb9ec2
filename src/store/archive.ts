// Partitions of the outbox as files: `<class>-<day>.ndjson.zst` (archive-line.ts) and, beside it, `<class>-<day>.json`, which says
// what is in it. The second is written last: without it, the first is not valid.
import { createHash } from 'node:crypto'
import { mkdir, open, readFile, rename, rm, stat } from 'node:fs/promises'
import { basename, join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { constants, createZstdCompress } from 'node:zlib'
import { EvtError, toError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { type ArchiveSource, openArchiveSource } from './archive-source.ts'
import type { Store } from './connection.ts'
import { isMissingTable } from './errors.ts'
import { type DayOfClass, outboxLeaf } from './partition-names.ts'

export interface Archived extends DayOfClass {
  readonly file: string
  readonly events: number
  readonly bytes: number
  /** Of the file. */
  readonly sha256: string
  readonly firstPosition: string | null
  readonly lastPosition: string | null
}

/** What lies beside each archive. */
export interface Manifest extends Archived {
  readonly schema: typeof manifestSchema
  /** Rows that never got a position, because the same event was there already. */
  readonly duplicates: number
  readonly archivedAt: string
}

export const manifestSchema = 'evt-archive/1'
export const manifestOf = (file: string): string => file.replace(/\.ndjson\.zst$/, '.json')

/**
 * Writes a partition into `directory`, durably, before it resolves; undefined when it lies there already as it is now, a reason when
 * it cannot be archived now. A process that ends in the middle leaves a `.partial` behind, which the next one
 * overwrites. Memory stays flat. Throws `refused` when a file of that name is another store's, and what the disk says.
 */
export async function archivePartition(
  store: Store,
  { directory, ...of }: DayOfClass & { readonly directory: string },
): Promise<Archived | string | undefined> {
  const file = join(resolve(directory), `${of.class}-${of.day}.ndjson.zst`)
  const source = await isArchived(store, of, file)
    .then((there) => (there ? undefined : openArchiveSource(store, of)))
    .catch((error: unknown) => {
      // Another process has just dropped it.
      if (isMissingTable(error)) return undefined
      throw error
    })
  if (typeof source !== 'object') return source
  try {
    await mkdir(resolve(directory), { recursive: true })
    await refuseForeign(store, of, file)
    return await write(store, of, { file, source })
  } catch (error) {
    await rm(`${file}.partial`, { force: true }).catch(() => {})
    if (error instanceof EvtError) throw error
    throw new EvtError('partial', `cannot archive ${basename(file)}: ${toError(error).message}`, {
      hint: `nothing is dropped before it is archived; make room or rights in ${resolve(directory)}`,
      cause: error,
    })
  } finally {
    await source.close()
  }
}

async function write(
  store: Store,
  of: DayOfClass,
  { file, source }: { readonly file: string; readonly source: ArchiveSource },
): Promise<Archived> {
  const { bytes, sha256 } = await writeLines(`${file}.partial`, source)
  const { events, duplicates, firstPosition, lastPosition } = source.done()
  const archived: Archived = { ...of, file, events, bytes, sha256, firstPosition, lastPosition }
  await rm(manifestOf(file), { force: true })
  await rename(`${file}.partial`, file)
  await store.query(
    `insert into evt.archives (sha256, class, day, file, bytes, events, first_position, last_position, snapshot)
     values ($1, $2, $3, $4, $5, $6, $7, $8, $9) on conflict (class, day, sha256) do update set file = excluded.file,
       snapshot = excluded.snapshot, archived_at = excluded.archived_at`,
    [sha256, of.class, of.day, file, bytes, events, firstPosition, lastPosition, source.snapshot],
  )
  const manifest: Manifest = {
    schema: manifestSchema,
    ...archived,
    file: basename(file),
    duplicates,
    archivedAt: new Date().toISOString(),
  }
  await writeDurably(manifestOf(file), `${JSON.stringify(manifest, undefined, 2)}\n`)
  await syncDirectory(resolve(file, '..'))
  return archived
}

async function writeLines(path: string, source: ArchiveSource): Promise<{ bytes: number; sha256: string }> {
  const hash = createHash('sha256')
  let bytes = 0
  const handle = await open(path, 'w', 0o600)
  try {
    const compress = createZstdCompress({ params: { [constants.ZSTD_c_checksumFlag]: 1 } })
    await pipeline(Readable.from(source.lines()), compress, async (chunks: AsyncIterable<Buffer>) => {
      for await (const chunk of chunks) {
        hash.update(chunk)
        bytes += chunk.length
        await handle.writeFile(chunk)
      }
    })
    await handle.sync()
  } finally {
    await handle.close()
  }
  return { bytes, sha256: hash.digest('hex') }
}

async function writeDurably(path: string, text: string): Promise<void> {
  const handle = await open(`${path}.partial`, 'w', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  await rename(`${path}.partial`, path)
}

async function syncDirectory(path: string): Promise<void> {
  const handle = await open(path, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/** The file is whole, and nothing was written to the partition since; or there is nothing to archive. */
async function isArchived(sql: SqlExecutor, of: DayOfClass, file: string): Promise<boolean> {
  const { rows } = await sql.query(
    `select exists (select from only ${outboxLeaf(of.class, of.day)}) as filled, (select bytes from evt.archives
       where class = $1 and day = $2 and file = $3 order by archived_at desc limit 1) as bytes`,
    [of.class, of.day, file],
  )
  if (rows[0]?.filled === false) return true
  if (rows[0]?.bytes == null || !(await isUnchanged(sql, of))) return false
  const [data, manifest] = await Promise.all([file, manifestOf(file)].map((path) => stat(path).catch(() => undefined)))
  return manifest !== undefined && data?.size === Number(rows[0]?.bytes)
}

/** True when the latest archive has every event of the partition, or there is none in it. For certain only while nobody can write to it. */
export async function isUnchanged(sql: SqlExecutor, { class: eventClass, day }: DayOfClass): Promise<boolean> {
  const { rows } = await sql.query(
    `with latest as materialized (
       select snapshot from evt.archives where class = $1 and day = $2 order by archived_at desc limit 1)
     select not exists (select from only ${outboxLeaf(eventClass, day)}) or exists (select from latest) and not exists (
       select from only ${outboxLeaf(eventClass, day)} where xid >= (select pg_snapshot_xmin(snapshot) from latest)
         and not pg_visible_in_snapshot(xid, (select snapshot from latest))) as same`,
    [eventClass, day],
  )
  return rows[0]?.same === true
}

/** A file of that name that this store did not write is somebody's only copy. */
async function refuseForeign(sql: SqlExecutor, of: DayOfClass, file: string): Promise<void> {
  const manifest = await readManifest(file).catch(() => undefined)
  if (!manifest) return
  const { rows } = await sql.query('select from evt.archives where sha256 = $1 and class = $2 and day = $3', [
    manifest.sha256,
    of.class,
    of.day,
  ])
  if (rows.length > 0) return
  throw new EvtError('refused', `cannot archive to ${file}: there is one that this store did not write`, {
    hint: 'give each store a directory of its own, or move that file away',
  })
}

/** Throws what reading says, or an Error with the reason. */
export async function readManifest(file: string): Promise<Manifest> {
  const manifest = JSON.parse(await readFile(manifestOf(file), 'utf8')) as Manifest
  if (manifest.schema === manifestSchema) return manifest
  throw new Error(`its schema is ${String(manifest.schema)}, not ${manifestSchema}`)
}
