import { EvtError } from '../core/errors.ts'
import type { SqlExecutor } from '../transports/transport.ts'
import type { ArchivedRow } from './archive-line.ts'
import { type DayOfClass, logChunkSize, outboxLeaf } from './partition-names.ts'

/** Puts events back into their table and, where they are not there any more, into the log. */
export async function createInserter(
  sql: SqlExecutor,
  of: DayOfClass,
): Promise<(rows: readonly ArchivedRow[]) => Promise<void>> {
  const columns = await readColumns(sql)
  const names = columns.map(({ name }) => `"${name}"`).join(', ')
  const texts = columns.map((_, i) => `$${i + 1}::text[]`).join(', ')
  const values = columns.map(({ name, type }) => `e."${name}"::${type}`).join(', ')
  const events = `insert into ${outboxLeaf(of.class, of.day)} (${names}) select ${values} from unnest(${texts}) e (${names})`
  const chunks = new Set<bigint>()
  return async (rows) => {
    if (rows.length === 0) return
    await sql.query(
      events,
      columns.map(({ name }) => rows.map((row) => row.columns[name] ?? null)),
    )
    for (const { position } of rows) {
      const chunk = BigInt(position) / logChunkSize
      if (chunks.has(chunk)) continue
      chunks.add(chunk)
      await sql.query('select evt.make_log_chunk($1)', [String(chunk)])
    }
    await placeInLog(sql, of, rows)
  }
}

async function readColumns(sql: SqlExecutor): Promise<readonly { readonly name: string; readonly type: string }[]> {
  const { rows } = await sql.query(
    `select attname as name, format_type(atttypid, atttypmod) as type from pg_attribute
     where attrelid = 'evt.outbox'::regclass and attnum > 0 and not attisdropped order by attnum`,
  )
  return rows.map((row) => ({ name: String(row.name), type: String(row.type) }))
}

/** The part of the log may have gone with the events. */
async function placeInLog(sql: SqlExecutor, of: DayOfClass, rows: readonly ArchivedRow[]): Promise<void> {
  const keys = [
    rows.map(({ position }) => position),
    rows.map(({ columns }) => columns.seq),
    rows.map(({ columns }) => columns.xid),
  ]
  await sql.query(
    `insert into evt.log (position, seq, xid, sequenced_at, day, slot, class)
     select position, seq, xid::xid8, sequenced_at, $6, slot, $7
     from unnest($1::bigint[], $2::bigint[], $3::text[], $4::timestamptz[], $5::smallint[]) e (position, seq, xid, sequenced_at, slot)
     on conflict do nothing`,
    [...keys, rows.map(({ sequencedAt }) => sequencedAt), rows.map(({ slot }) => slot), of.day, of.class],
  )
  const { rows: others } = await sql.query(
    `select e.position from unnest($1::bigint[], $2::bigint[], $3::text[]) e (position, seq, xid)
     join evt.log l on l.position = e.position where l.seq <> e.seq or l.xid <> e.xid::xid8 limit 1`,
    keys,
  )
  if (others.length === 0) return
  throw new EvtError('conflict', `cannot restore position ${others[0]?.position}: another event has it by now`, {
    hint: 'the log was made anew since the archive was written',
  })
}
