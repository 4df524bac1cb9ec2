import { createHash } from 'node:crypto'
import { createReadStream } from 'node:fs'
import { basename } from 'node:path'
import { createZstdDecompress } from 'node:zlib'
import { EvtError, toError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import { type Manifest, readManifest } from './archive.ts'
import { type ArchivedRow, parseArchiveLine } from './archive-line.ts'
import type { Audit } from './audit.ts'
import type { Store } from './connection.ts'
import { outboxLeaf } from './partition-names.ts'
import { createInserter } from './restore-rows.ts'

export interface RestoreOptions {
  /** How long it stays; it is dropped after that without another archive. */
  readonly keepDays: number
  readonly audit?: Audit
}

export interface Restored {
  readonly file: string
  readonly class: string
  readonly day: string
  /** 0 when they were there already. */
  readonly events: number
}

/** Large enough for the server, small enough for memory. */
const batchRows = 1_000

/** Reads what lies beside the archive. Throws `usage` when that is not there or no manifest. */
export async function describeArchive(file: string): Promise<Manifest> {
  if (!file.endsWith('.ndjson.zst')) throw unfit(file, 'an archive is called CLASS-DAY.ndjson.zst')
  try {
    return await readManifest(file)
  } catch (error) {
    throw unfit(file, `what says what is in it cannot be read: ${toError(error).message}`)
  }
}

/**
 * Brings an archive back as history: its events stand in the log where they stood, for all who read that; those who have passed them
 * do not see them again, and nothing is sequenced anew. All of it or nothing. A second time changes nothing but how long it stays.
 * Throws `refused` for a file that this store did not write, `checksum` naming the line for a damaged one.
 */
export async function restoreArchive(store: Store, file: string, options: RestoreOptions): Promise<Restored> {
  const manifest = await describeArchive(file)
  return store.transaction(async (sql) => {
    await sql.query(`select pg_advisory_xact_lock(hashtextextended('evt.partitions', 0))`)
    await assertOwn(sql, file, manifest)
    const events = (await makeTable(sql, manifest, options)) ? await fill(sql, file, manifest) : 0
    await options.audit?.(sql, Math.max(1, events), { file: basename(file), events })
    return { file, class: manifest.class, day: manifest.day, events }
  })
}

function unfit(file: string, reason: string): EvtError {
  return new EvtError('usage', `cannot restore ${file}: ${reason}`, {
    hint: 'name the archive itself; its .json lies beside it',
  })
}

async function assertOwn(sql: SqlExecutor, file: string, manifest: Manifest): Promise<void> {
  const { rows } = await sql.query('select from evt.archives where class = $1 and day = $2::date and sha256 = $3', [
    manifest.class,
    manifest.day,
    manifest.sha256,
  ])
  if (rows.length > 0) return
  throw new EvtError('refused', `cannot restore ${basename(file)}: this store did not write it`, {
    hint: 'positions are those of one store; to bring events into another one: zstdcat FILE | evt gen --input -',
  })
}

/** False when the day is there: it was never dropped, or came back before. */
async function makeTable(sql: SqlExecutor, of: Manifest, { keepDays }: RestoreOptions): Promise<boolean> {
  const { rows } = await sql.query(
    `select exists (select from pg_class where relnamespace = 'evt'::regnamespace and 'evt.' || relname = $1) as found`,
    [outboxLeaf(of.class, of.day)],
  )
  if (rows[0]?.found) {
    await sql.query(
      'update evt.restored set keep_until = greatest(keep_until, evt.today() + $3::int) where class = $1 and day = $2',
      [of.class, of.day, keepDays],
    )
    return false
  }
  await sql.query('select evt.make_restored($1, $2)', [of.class, of.day])
  await sql.query(
    'insert into evt.restored (class, day, sha256, keep_until) values ($1, $2, $3, evt.today() + $4::int)',
    [of.class, of.day, of.sha256, keepDays],
  )
  return true
}

async function fill(sql: SqlExecutor, file: string, manifest: Manifest): Promise<number> {
  const hash = createHash('sha256')
  const insert = await createInserter(sql, manifest)
  let line = 0
  let batch: ArchivedRow[] = []
  const flush = async (): Promise<void> => {
    await insert(batch)
    batch = []
  }
  try {
    for await (const text of linesOf(file, (chunk) => hash.update(chunk))) {
      line += 1
      batch.push(checked(text, manifest))
      if (batch.length >= batchRows) await flush()
    }
    line += 1
    if (hash.digest('hex') !== manifest.sha256) throw new Error('its checksum is not the one that was written down')
    if (line - 1 !== manifest.events) throw new Error(`it ends here; ${manifest.events} events were archived`)
  } catch (error) {
    if (error instanceof EvtError) throw error
    throw new EvtError(
      'checksum',
      `cannot restore ${basename(file)}: line ${Math.max(1, line)}: ${toError(error).message}`,
      {
        hint: 'nothing was restored; take the file from a backup',
        cause: error,
      },
    )
  }
  await flush()
  return manifest.events
}

function checked(text: string, of: Manifest): ArchivedRow {
  const row = parseArchiveLine(text)
  if (row.columns.class === of.class && row.columns.day === of.day) return row
  throw new Error(`it is of ${row.columns.class} ${row.columns.day}, not of ${of.class} ${of.day}`)
}

async function* linesOf(file: string, onChunk: (chunk: Buffer) => void): AsyncGenerator<string> {
  const source = createReadStream(file)
  const decompress = createZstdDecompress()
  source.on('data', (chunk) => onChunk(chunk as Buffer))
  source.on('error', (error) => decompress.destroy(error))
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  try {
    for await (const chunk of source.pipe(decompress)) {
      const lines = (rest + decoder.decode(chunk as Buffer, { stream: true })).split('\n')
      rest = lines.pop() as string
      yield* lines
    }
    if (rest + decoder.decode() !== '') throw new Error('it ends in the middle of an event')
  } finally {
    source.destroy()
    decompress.destroy()
  }
}
