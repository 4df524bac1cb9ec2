import type { SqlExecutor } from '../transports/transport.ts'
import { aliveFor } from './handler-places.ts'

/** The newest version of each type that a bridge knows, by type. */
export type NewestVersions = ReadonlyMap<string, number>

/**
 * What waits for a contract, `type@version`, of those asked for; and what the other bridges know that handle this handler's events now: out of
 * the same intake, not paused, not broken, and well. None while the handler moves to another intake.
 */
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
     where i.instance <> $2 and (i.stopped_at is null or i.stopped_at < i.beat_at) and i.beat_at > clock_timestamp() - $3::interval
       and exists (
         select from evt.handler_readers r join evt.handler_readers own using (handler, intake, target)
         join evt.handler_places using (handler, intake, target)
         where handler = $1 and r.instance = i.instance and own.instance = $2)
       and exists (
         select from json_array_elements(i.sample->'handlers') h where h->>'handler' = $1 and h->>'paused' = 'false'
           and coalesce(h->>'broken', 'false') = 'false' and h->>'unhealthy' is null and h->>'health' <> 'failing')
     group by i.instance`,
    [handler, instance, aliveFor],
  )
  return {
    waiting: waiting.rows.map((row) => String(row.held_for)),
    others: others.rows.map((row) => new Map(Object.entries(row.newest as Record<string, number>))),
  }
}
