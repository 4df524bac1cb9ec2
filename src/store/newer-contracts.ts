import type { SqlExecutor } from '../transports/transport.ts'

/** The newest version of each type that a bridge knows, by type. */
export type NewestVersions = ReadonlyMap<string, number>

/** What waits for a contract, `type@version`, of those asked for; and what the other bridges know that run this handler now. */
export async function readNewer(
  sql: SqlExecutor,
  {
    handler,
    instance,
    heldFor,
  }: { readonly handler: string; readonly instance: string; readonly heldFor: readonly string[] },
): Promise<{ readonly waiting: readonly string[]; readonly others: readonly NewestVersions[] }> {
  const waiting = await sql.query(
    `select held_for from unnest($2::text[]) held_for
     where exists (select from evt.deliveries d where d.handler = $1 and d.held_for = held_for.held_for)`,
    [handler, heldFor],
  )
  const others = await sql.query(
    `select json_object_agg(known.type, known.version) as newest
     from evt.instances i, lateral (
       select type, max(version) as version from evt.contracts c where c.instance = i.instance and not c.draft group by type
     ) known
     where i.instance <> $2 and i.stopped_at is null and i.beat_at > clock_timestamp() - interval '10 seconds'
       and i.sample::jsonb @> jsonb_build_object('handlers', jsonb_build_array(jsonb_build_object('handler', $1::text)))
     group by i.instance`,
    [handler, instance],
  )
  return {
    waiting: waiting.rows.map((row) => String(row.held_for)),
    others: others.rows.map((row) => new Map(Object.entries(row.newest as Record<string, number>))),
  }
}
